"""Codes, tokens and handles: random values of which only a hash is kept."""

import hashlib
import secrets
from typing import Final

_BYTES: Final = 32


def new_secret() -> str:
    """Return 256 random bits, as base64url."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(secret: str) -> bytes:
    """Return what is kept of it: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
