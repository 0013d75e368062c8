"""Who the person is, told to a client: the claims of an id token.

References
----------
OpenID Connect Core 1.0, 2; SMART App Launch 2.2, Scopes for requesting identity data
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from osler.api.services import Services
from osler.api.smart.grants import Allowed
from osler.api.smart.tokens import Grant

_LIFE_S: Final = 3600


def id_token(allowed: Allowed, services: Services, *, now: float) -> Mapping[str, Any] | None:
    """Return the claims, or None when the person's identity was not asked for (``openid``)."""
    grant = allowed.grant
    person = claims_of(grant, services)
    if person is None:
        return None
    claims: dict[str, Any] = {
        "iss": services.base_url,
        "aud": grant.client_id,
        "iat": int(now),
        "exp": int(now) + _LIFE_S,
        "auth_time": int(allowed.auth_time),
        **person,
    }
    if allowed.methods:
        claims["amr"] = list(allowed.methods)
    if allowed.nonce is not None:
        claims["nonce"] = allowed.nonce
    return claims


def claims_of(grant: Grant, services: Services) -> dict[str, Any] | None:
    """Return what a client may know of the person; None when the identity was not asked for (``openid``)."""
    scopes = {scope.text for scope in grant.scopes}
    if "openid" not in scopes or grant.person is None:
        return None
    claims: dict[str, Any] = {"sub": subject_of(grant.person.name, services.base_url)}
    if grant.person.fhir_user is not None and {"fhirUser", "profile"} & scopes:
        claims["fhirUser"] = f"{services.fhir_base}/{grant.person.fhir_user}"
        claims["profile"] = claims["fhirUser"]
    return claims


def subject_of(name: str, issuer: str) -> str:
    """Return the identifier of a person for clients: always the same, and not the name."""
    digest = hashlib.sha256(f"subject\n{issuer}\n{name}".encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
