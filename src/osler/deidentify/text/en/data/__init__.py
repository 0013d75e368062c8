"""Word lists that ``build.py`` made, and the small ones written by hand."""
