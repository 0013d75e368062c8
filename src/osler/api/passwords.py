"""Passwords and secrets of clients: only their argon2id hash is kept."""

import argon2


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and costs. Takes some tens of milliseconds."""
    return _hasher().hash(password)


def password_holds(held: str, given: str) -> bool:
    """Tell whether a password is the one of a hash. Takes some tens of milliseconds."""
    try:
        return _hasher().verify(held, given)
    except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHash, UnicodeError):
        return False


def _hasher() -> argon2.PasswordHasher:
    # OWASP's argon2id for servers: 19 MiB, so that a burst of sign-ins does not take the memory of a study.
    return argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
