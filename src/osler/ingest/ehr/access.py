"""What an EHR says of its endpoints, who we are there, and access tokens by backend services.

References
----------
SMART App Launch 2.2: Conformance, Backend Services, Client Authentication; RFC 6749 2.3.1, 4.4, 5
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

from osler.ehr_settings import Ehr
from osler.errors import ConfigError, InputRejected, Malformed, Unauthenticated
from osler.ingest.ehr.client_key import ALGORITHMS, ClientKey, assertion
from osler.ingest.ehr.wire import Answer, Request, Wire
from osler.standards.fhir import loads

_JSON: Final = {"accept": "application/json"}
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_EARLY_S: Final = 30.0
_UNTOLD_S: Final = 300.0
_LONGEST_S: Final = 86400 * 366
_OAUTH_ERRORS: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
    | {"invalid_scope", "access_denied"}
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What ``.well-known/smart-configuration`` says; empty what it does not."""

    token: str
    authorize: str = ""
    issuer: str = ""
    jwks: str = ""
    capabilities: tuple[str, ...] = ()
    pkce: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Who we are at the EHR: a key, a secret, or neither (a public client)."""

    client_id: str
    key: ClientKey | None = None
    secret: str = ""

    def request(self, endpoint: str, form: Mapping[str, str], now: float) -> Request:
        """Return a request to the token endpoint that proves it is ours; each time with an assertion of its own."""
        if self.key is not None:
            signed = assertion(self.key, client_id=self.client_id, audience=endpoint, now=now)
            proof = {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": signed}
            return Request("POST", endpoint, _JSON, {**form, **proof})
        if self.secret:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}".encode()
            basic = f"Basic {base64.b64encode(pair).decode()}"
            return Request("POST", endpoint, {**_JSON, "authorization": basic}, form)
        return Request("POST", endpoint, _JSON, {**form, "client_id": self.client_id})


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """An access token. ``scope`` is what was granted, ``answer`` the whole of the response."""

    value: str
    scope: str
    expires_at: float
    answer: Mapping[str, Any]


class Access(Protocol):
    """Gives the token that requests carry."""

    def token(self) -> Token:
        """Return one that holds for a while yet."""
        ...

    def renew(self, stale: Token) -> Token:
        """Return another than one that was refused."""
        ...


class BackendAccess:
    """Access by backend services: the token is kept until shortly before it ends.

    Parameters
    ----------
    wire : Wire
    endpoints : Endpoints
    credentials : Credentials
    scope : str
    clock : callable
        Seconds since the epoch, UTC.

    Raises
    ------
    ConfigError
        If there is neither key nor secret.
    """

    def __init__(
        self,
        wire: Wire,
        endpoints: Endpoints,
        credentials: Credentials,
        *,
        scope: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if credentials.key is None and not credentials.secret:
            raise ConfigError(
                "a public client has no backend services: make a key with `osler ehr keys`, or use --user"
            )
        self._wire = wire
        self._endpoints = endpoints
        self._credentials = credentials
        self._form = {"grant_type": "client_credentials", "scope": scope}
        self._clock = clock
        self._held: Token | None = None

    def token(self) -> Token:
        """Return the token, a new one when the old one is about to end."""
        if self._held is None or self._held.expires_at <= self._clock():
            self._held = get_token(self._wire, self._endpoints, self._credentials, self._form, self._clock)
        return self._held

    def renew(self, stale: Token) -> Token:
        """Return a new token in place of one that was refused."""
        if self._held is stale:
            self._held = None
        return self.token()


def discover(wire: Wire, ehr: Ehr) -> Endpoints:
    """Ask an EHR where its endpoints are.

    Raises
    ------
    AccessDenied
        If it names a host that is not listed.
    InputRejected
        If it has no SMART configuration, or one that cannot be used.
    PeerUnavailable
        As :meth:`Wire.ask`.
    """
    url = f"{ehr.fhir_base}/.well-known/smart-configuration"
    answer = wire.ask(lambda: Request("GET", url, _JSON))
    if answer.status != 200:
        raise InputRejected(f"the EHR has no SMART configuration (HTTP {answer.status})")
    found = _document(answer)
    token = found.get("token_endpoint")
    if not isinstance(token, str):
        raise Malformed("the EHR's SMART configuration names no token endpoint")
    wire.hosts.check(token)
    return Endpoints(
        token,
        authorize=_text(found, "authorization_endpoint"),
        issuer=_text(found, "issuer"),
        jwks=_text(found, "jwks_uri"),
        capabilities=_texts(found, "capabilities"),
        pkce=_texts(found, "code_challenge_methods_supported"),
        algorithms=_texts(found, "token_endpoint_auth_signing_alg_values_supported") or ALGORITHMS,
    )


def get_token(
    wire: Wire,
    endpoints: Endpoints,
    credentials: Credentials,
    form: Mapping[str, str],
    clock: Callable[[], float],
) -> Token:
    """Ask the token endpoint.

    Raises
    ------
    Unauthenticated
        If it refuses; of its words only an error of RFC 6749 is passed on.
    Malformed
        If the answer is no token response.
    PeerUnavailable
        As :meth:`Wire.ask`.
    """
    asked_at = clock()
    answer = wire.ask(lambda: credentials.request(endpoints.token, form, clock()))
    if answer.status != 200:
        raise Unauthenticated(f"the EHR gives no token ({_oauth_error(answer)})")
    found = _document(answer)
    value, kind, lives = found.get("access_token"), found.get("token_type"), found.get("expires_in")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or not value:
        raise Malformed("the EHR's token response holds no access token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise Malformed("the EHR's token is of another type than Bearer")
    life_s = float(lives) if isinstance(lives, int) and 0 < lives < _LONGEST_S else _UNTOLD_S
    early_s = min(_EARLY_S, life_s / 10)
    scope = found.get("scope")
    granted = scope if isinstance(scope, str) else form.get("scope", "")
    return Token(value, granted, asked_at + life_s - early_s, found)


def get_json(wire: Wire, url: str) -> dict[str, Any]:
    """Return a JSON object that is at an address.

    Raises
    ------
    Malformed
        If there is none.
    """
    answer = wire.ask(lambda: Request("GET", url, _JSON))
    if answer.status != 200:
        raise Malformed(f"the EHR does not give a document that it names (HTTP {answer.status})")
    return _document(answer)


def _document(answer: Answer) -> dict[str, Any]:
    if answer.media_type != "application/json" and not answer.media_type.endswith("+json"):
        raise Malformed("the EHR answers with another media type than JSON")
    return loads(answer.content)


def _oauth_error(answer: Answer) -> str:
    try:
        error = _document(answer).get("error")
    except InputRejected:
        error = None
    return error if isinstance(error, str) and error in _OAUTH_ERRORS else f"HTTP {answer.status}"


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
