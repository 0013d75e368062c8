"""Which models there are, in which version."""
