"""What the authorization server says of itself: the SMART configuration and OpenID Connect's.

Both claim only what works: without accounts of people there is no sign-in to speak of.

References
----------
SMART App Launch 2.2, Conformance; OpenID Connect Discovery 1.0, 3
"""

from typing import Any, Final

from osler.api.fhir.reading import READ_ONLY
from osler.api.services import Services
from osler.api.smart import paths
from osler.api.smart.assertion import ALGORITHMS
from osler.api.smart.scopes import CRUDS, PLAIN
from osler.api.smart.signing import ALGORITHM
from osler.standards.fhir_search import SEARCHABLE

_PROVEN: Final = ("private_key_jwt", "client_secret_basic", "client_secret_post")
_OF_CLIENTS: Final = (
    "client-confidential-asymmetric",
    "client-confidential-symmetric",
    "permission-v1",
    "permission-v2",
)
_OF_PEOPLE: Final = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
)


def people_sign_in(services: Services) -> bool:
    """Tell whether people can sign in here."""
    return services.people is not None and services.signing_keys is not None


def smart_configuration(services: Services) -> dict[str, Any]:
    """Build ``/.well-known/smart-configuration``."""
    contexts = ["system"]
    document = _endpoints(services) | {
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "capabilities": list(_OF_CLIENTS),
    }
    if people_sign_in(services):
        contexts = ["patient", "user", "system"]
        document |= _of_people(services) | {"capabilities": [*_OF_PEOPLE, *_OF_CLIENTS]}
    scopes = [f"{context}/{name}.{_rights(name)}" for context in contexts for name in ("*", *sorted(SEARCHABLE))]
    return document | {"scopes_supported": [*(PLAIN if len(contexts) > 1 else ()), *scopes]}


def openid_configuration(services: Services) -> dict[str, Any]:
    """Build ``/.well-known/openid-configuration``."""
    return (
        _endpoints(services)
        | _of_people(services)
        | {
            "userinfo_endpoint": services.base_url + paths.USERINFO,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "nonce", "fhirUser", "profile"],
            "scopes_supported": list(PLAIN),
            "request_uri_parameter_supported": False,
        }
    )


def _rights(type_name: str) -> str:
    return "rs" if type_name in READ_ONLY else CRUDS


def _endpoints(services: Services) -> dict[str, Any]:
    base = services.base_url
    return {
        "token_endpoint": base + paths.TOKEN,
        "token_endpoint_auth_methods_supported": list(_PROVEN),
        "introspection_endpoint": base + paths.INTROSPECT,
        "introspection_endpoint_auth_methods_supported": list(_PROVEN),
        "revocation_endpoint": base + paths.REVOKE,
        "revocation_endpoint_auth_methods_supported": list(_PROVEN),
    }


def _of_people(services: Services) -> dict[str, Any]:
    base = services.base_url
    return {
        "issuer": base,
        "authorization_endpoint": base + paths.AUTHORIZE,
        "jwks_uri": base + paths.JWKS,
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": [*_PROVEN, "none"],
        "revocation_endpoint_auth_methods_supported": [*_PROVEN, "none"],
    }
