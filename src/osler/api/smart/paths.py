"""Where the endpoints of the authorization server are."""

from typing import Final
from urllib.parse import urlsplit

AUTHORIZE: Final = "/oauth/authorize"
PATIENT: Final = "/oauth/patient"
CONSENT: Final = "/oauth/consent"
APPS: Final = "/account/apps"
TOKEN: Final = "/oauth/token"  # noqa: S105
LAUNCH: Final = "/oauth/launch"
INTROSPECT: Final = "/oauth/introspect"
REVOKE: Final = "/oauth/revoke"
JWKS: Final = "/oauth/jwks"
USERINFO: Final = "/oauth/userinfo"
SMART_CONFIGURATION: Final = "/fhir/R4/.well-known/smart-configuration"
OPENID_CONFIGURATION: Final = "/.well-known/openid-configuration"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def names_of(base_url: str, path: str) -> frozenset[str]:
    """Return the URLs that mean a path of ours: on loopback under each of its names.

    The Host header of a request decides nothing here: what was made for another server must not hold.
    """
    parts = urlsplit(base_url)
    host, port = parts.netloc, ""
    if not parts.netloc.endswith("]") and ":" in parts.netloc:
        host, _, port = parts.netloc.rpartition(":")
    hosts = _LOOPBACK if host in _LOOPBACK else (host,)
    ends = f":{port}" if port else ""
    return frozenset(f"{parts.scheme}://{name}{ends}{parts.path}{path}" for name in hosts)
