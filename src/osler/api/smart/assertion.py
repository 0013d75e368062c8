"""A client proves itself with a short-lived JWT that its key has signed: private_key_jwt, and calls of CDS services.

References
----------
RFC 7523; SMART App Launch 2.2, Client Authentication: Asymmetric (private_key_jwt); CDS Hooks 2.0, Trusting CDS Clients
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

ALGORITHMS: Final = ("RS384", "ES384")
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_KEY_TYPES: Final = {"RS384": "RSA", "ES384": "EC"}
_MAX_LIFE_S: Final = 300
_SKEW_S: Final = 10  # clocks of two hosts are never the same
_MAX_LENGTH: Final = 8192
_MAX_JTI: Final = 255
_HEADERS: Final = frozenset({"alg", "kid", "typ", "jku"})


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that holds; whether it was used before is for the caller to see."""

    client: Client
    jti: str
    expires_at: float


def verify_assertion(
    text: str,
    *,
    find: Callable[[str], Client | None],
    key_of: Callable[[Client, str], ClientKey | None],
    audiences: Collection[str],
    now: float,
    also: str = "sub",
) -> Assertion:
    """Check a client assertion.

    Parameters
    ----------
    text : str
        Compact JWS.
    find : callable
        Returns the client of an id, or None.
    key_of : callable
        Returns a client's key of a name, or None.
    audiences : collection of str
        URLs that mean this endpoint.
    now : float
        Seconds since the epoch, UTC.
    also : {"sub", "iat"}
        The claim that must be there besides ``iss``, ``aud``, ``exp`` and ``jti``: ``sub`` is the client in RFC 7523,
        ``iat`` is asked for by CDS Hooks.

    Raises
    ------
    Unauthenticated
        If anything about it does not hold; the words name the rule, and nothing of the assertion.
    """
    header, claimed = _unverified(text)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated(f"the assertion must be signed with {' or '.join(ALGORITHMS)}")
    if not header.keys() <= _HEADERS or str(header.get("typ", "JWT")).upper() != "JWT":
        # jwk, x5c, x5u and their like would let the assertion bring its own key
        raise Unauthenticated("the assertion's header may have alg, kid, jku and typ JWT only")
    issuer = claimed.get("iss")
    client = find(issuer) if isinstance(issuer, str) else None
    if client is not None and "jku" in header and header["jku"] != client.jwks_uri:
        raise Unauthenticated("the assertion's jku is not the address of keys that is registered")
    key = key_of(client, kid) if client is not None and isinstance(kid, str) else None
    if client is None or key is None or key.key_type != _KEY_TYPES[algorithm]:
        raise Unauthenticated("the assertion names no client and key that are registered")
    try:
        claims = jwt.decode(text, key, algorithms=[algorithm]).claims
    except JoseError:
        raise Unauthenticated("the assertion's signature does not hold") from None
    return _checked(claims, client, audiences, now=now, also=also)


def _unverified(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(text) > _MAX_LENGTH or not text.isascii():
        raise Unauthenticated("the assertion is not a JWT")
    try:
        extracted = jws.extract_compact(text.encode())
        header, claims = extracted.headers(), json.loads(extracted.payload or b"")
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Unauthenticated("the assertion is not a JWT") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Unauthenticated("the assertion is not a JWT")
    return header, claims


def _checked(claims: dict[str, Any], client: Client, audiences: Collection[str], *, now: float, also: str) -> Assertion:
    wanted: dict[str, Any] = {also: {"essential": True}}
    if also == "sub":
        wanted[also]["value"] = client.id
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=_SKEW_S,
        iss={"essential": True, "value": client.id},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        jti={"essential": True},
        **wanted,
    )
    try:
        registry.validate(claims)
    except ClaimError as error:
        raise Unauthenticated(f"the assertion's claim {error.claim} does not hold") from None
    expires_at, jti = claims["exp"], claims["jti"]
    if not expires_at > now:  # said so that NaN, which JSON parsers let in, is not an age
        raise Unauthenticated("the assertion has expired")
    if not expires_at <= now + _MAX_LIFE_S + _SKEW_S:
        raise Unauthenticated("the assertion lives longer than five minutes")
    if len(jti) > _MAX_JTI or not jti.isprintable():
        raise Unauthenticated("the assertion's claim jti does not hold")
    return Assertion(client, jti, float(expires_at))
