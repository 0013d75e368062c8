"""``/scribe``: encounters that are documented, for programs and for pages."""
