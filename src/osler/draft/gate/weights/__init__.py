"""How many encounters speak of a term: counted from public research data, see ``README.md``."""
