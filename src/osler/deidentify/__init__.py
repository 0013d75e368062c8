"""What is received into what carries no identity, or into quarantine with a reason that quotes no data."""
