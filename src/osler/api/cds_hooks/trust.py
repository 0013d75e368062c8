"""Who calls a CDS service: a JWT that the client's own key has signed, for this very endpoint, once.

References
----------
CDS Hooks 2.0, Trusting CDS Clients; RFC 7519
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError

from osler.api.smart.client_keys import ClientKey
from osler.api.smart.clients import Client
from osler.errors import Unauthenticated

ALGORITHMS: Final = ("ES384", "RS384")
_KEY_TYPES: Final = {"RS384": "RSA", "ES384": "EC"}
_HEADERS: Final = frozenset({"alg", "kid", "typ", "jku"})
_MAX_LENGTH: Final = 8192
_MAX_LIFE_S: Final = 300
_SKEW_S: Final = 10
_MAX_JTI: Final = 255


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds; whether it was used before is for the caller to see."""

    client: Client
    jti: str
    expires_at: float


def verify(
    text: str,
    *,
    find: Callable[[str], Client | None],
    key_of: Callable[[Client, str], ClientKey | None],
    audiences: Collection[str],
    now: float,
) -> Proof:
    """Check the JWT of a CDS client.

    Parameters
    ----------
    text : str
        Compact JWS.
    find : callable
        Returns the client of an id, or None.
    key_of : callable
        Returns the public key of a client that a ``kid`` names, or None.
    audiences : collection of str
        URLs that mean this endpoint.
    now : float
        Seconds since the epoch, UTC.

    Raises
    ------
    Unauthenticated
        If anything about it does not hold; the words name the rule, and nothing of the JWT.
    """
    header, claimed = _unverified(text)
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), claimed.get("iss")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated(f"the JWT must be signed with {' or '.join(ALGORITHMS)}")
    if not header.keys() <= _HEADERS or str(header.get("typ", "JWT")).upper() != "JWT":
        raise Unauthenticated("the JWT's header may have alg, kid, jku and typ JWT only")
    client = find(issuer) if isinstance(issuer, str) else None
    if client is None or not isinstance(kid, str):
        raise Unauthenticated("the JWT names no client and key that are registered")
    if "jku" in header and header["jku"] != client.jwks_uri:
        raise Unauthenticated("the JWT's jku is not the key set that is registered for the client")
    key = key_of(client, kid)
    if key is None or key.key_type != _KEY_TYPES[algorithm]:
        raise Unauthenticated("the JWT names no client and key that are registered")
    try:
        claims = jwt.decode(text, key, algorithms=[algorithm]).claims
    except JoseError:
        raise Unauthenticated("the JWT's signature does not hold") from None
    return _checked(claims, client, audiences, now)


def _unverified(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    wrong = Unauthenticated("the bearer token is not a JWT")
    if len(text) > _MAX_LENGTH or not text.isascii():
        raise wrong
    try:
        extracted = jws.extract_compact(text.encode())
        header, claims = extracted.headers(), json.loads(extracted.payload or b"")
    except (JoseError, ValueError, TypeError, RecursionError):
        raise wrong from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise wrong
    return header, claims


def _checked(claims: dict[str, Any], client: Client, audiences: Collection[str], now: float) -> Proof:
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=_SKEW_S,
        iss={"essential": True, "value": client.id},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )
    try:
        registry.validate(claims)
    except ClaimError as error:
        raise Unauthenticated(f"the JWT's claim {error.claim} does not hold") from None
    expires_at, jti = claims["exp"], claims["jti"]
    if not now < expires_at <= now + _MAX_LIFE_S + _SKEW_S:  # said so that NaN fails too
        raise Unauthenticated("the JWT has expired, or lives longer than five minutes")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not jti.isprintable():
        raise Unauthenticated("the JWT's claim jti does not hold")
    return Proof(client, jti, float(expires_at))
