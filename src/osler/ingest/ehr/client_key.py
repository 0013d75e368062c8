"""The key pair that proves who we are to an EHR.

References
----------
SMART App Launch 2.2, Client Authentication: Asymmetric (private_key_jwt); RFC 7523; RFC 7517
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from osler.errors import ConfigError
from osler.storage.private_files import read_private, write_private

ALGORITHMS: Final = ("ES384", "RS384")
_RSA_BITS: Final = 3072
_LIFE_S: Final = 240  # five minutes are allowed, and clocks differ

ClientKey = jwk.RSAKey | jwk.ECKey

_IMPORT: Final[dict[str, Callable[[Any], ClientKey]]] = {"EC": jwk.ECKey.import_key, "RSA": jwk.RSAKey.import_key}


def make_key(path: Path, algorithm: str) -> ClientKey:
    """Make a key pair in a file that only its owner may read; the public part is named by its hash.

    Raises
    ------
    ConfigError
        If there is a file of that name, or the algorithm is none of :data:`ALGORITHMS`.
    """
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"the algorithm is one of {', '.join(ALGORITHMS)}")
    marks: Any = {"use": "sig", "alg": algorithm}
    key: ClientKey = (
        jwk.ECKey.generate_key("P-384", marks) if algorithm == "ES384" else jwk.RSAKey.generate_key(_RSA_BITS, marks)
    )
    held = key.as_dict(private=True)
    public = json.dumps(key.as_dict(private=False), sort_keys=True).encode()
    held["kid"] = base64.urlsafe_b64encode(hashlib.sha256(public).digest()[:12]).decode()
    write_private(path, json.dumps(held).encode())
    return read_key(path)


def read_key(path: Path) -> ClientKey:
    """Read a key pair (JWK).

    Raises
    ------
    ConfigError
        If the file is missing, others may read it, or it holds no such key.
    """
    wrong = ConfigError(f"{path} holds no private key (JWK) for ES384 or RS384 with a kid")
    content = read_private(path)
    try:
        held = json.loads(content)
        key = _IMPORT[held["kty"]](held)
    except (JoseError, ValueError, TypeError, KeyError):
        raise wrong from None
    fits = held.get("crv") == "P-384" if held["kty"] == "EC" else True
    if not fits or not key.is_private or not isinstance(held.get("kid"), str):
        raise wrong
    return key


def public_jwks(key: ClientKey) -> dict[str, Any]:
    """Return the JWK set that is registered with the EHR."""
    return {"keys": [key.as_dict(private=False) | {"use": "sig", "key_ops": ["verify"]}]}


def assertion(key: ClientKey, *, client_id: str, audience: str, now: float) -> str:
    """Return a client assertion, good once and for four minutes.

    Parameters
    ----------
    key : ClientKey
    client_id : str
    audience : str
        The token endpoint.
    now : float
        Seconds since the epoch, UTC.
    """
    algorithm = "ES384" if key.key_type == "EC" else "RS384"
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + _LIFE_S,
        "jti": secrets.token_urlsafe(24),
    }
    return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=[algorithm])
