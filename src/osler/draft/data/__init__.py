"""Tables of words and codes."""
