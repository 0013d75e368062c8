"""A running hub: what it works on (``opening``) and the roles that it plays (``hub``)."""
