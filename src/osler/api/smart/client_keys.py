"""The public keys of a client: which of a JWK set may sign an assertion."""

import base64
import json
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

from osler.errors import ConfigError

MAX_JWKS: Final = 64 * 1024
"""Longest JWK set that is read, characters."""
_MIN_RSA_BITS: Final = 2048
_PRIVATE_PARTS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})

ClientKey = jwk.RSAKey | jwk.ECKey


def usable_keys(jwks: str) -> dict[str, ClientKey]:
    """Read a JWK set and return the keys that may sign an assertion, by ``kid``.

    Raises
    ------
    ConfigError
        If it is not a JWK set, holds a private or symmetric key, names a key twice, or has no key that can be used.
    """
    entries = _jwks_entries(jwks)
    if any(_PRIVATE_PARTS & entry.keys() or entry.get("kty") == "oct" for entry in entries):
        raise ConfigError("the JWK set holds a private or symmetric key; register the public keys only")
    found: dict[str, ClientKey] = {}
    for entry in entries:
        kid = entry.get("kid")
        if not isinstance(kid, str) or not kid or entry.get("use", "sig") != "sig":
            continue
        if kid in found:
            raise ConfigError("the JWK set names two keys with the same kid")
        key = _key(entry)
        if key is not None:
            found[kid] = key
    if not found:
        raise ConfigError("the JWK set has no key with a kid that is RSA of 2048 bits or more, or EC on P-384")
    return found


def _jwks_entries(jwks: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(jwks)["keys"] if len(jwks) <= MAX_JWKS else None
    except (ValueError, KeyError, TypeError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError('not a JWK set: it must be a JSON object with a list "keys"')
    return entries


def _key(entry: dict[str, Any]) -> ClientKey | None:
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS384") == "RS384":
            # before it is imported: joserfc takes a short key with a warning
            modulus = base64.urlsafe_b64decode(entry["n"] + "==")
            return jwk.RSAKey.import_key(entry) if len(modulus) * 8 >= _MIN_RSA_BITS else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-384" and entry.get("alg", "ES384") == "ES384":
            return jwk.ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        raise ConfigError("a key of the JWK set cannot be read") from None
    return None
