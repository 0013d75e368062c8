"""What a client asks for at ``/oauth/authorize``, checked before anybody is asked to sign in.

References
----------
RFC 6749 4.1.1; RFC 7636; RFC 9207; RFC 9700; SMART App Launch 2.2, Obtain authorization code
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from osler.api.forms import Pairs
from osler.api.services import Services
from osler.api.smart import paths
from osler.api.smart.clients import Client
from osler.api.smart.scopes import Scope, intersect, parse_scopes
from osler.errors import AccessDenied

KEPT: Final = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "aud",
    "code_challenge",
    "code_challenge_method",
    "launch",
    "nonce",
)
"""Parameters that go along from page to page, and are checked anew on each."""
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}")
_DIGITS: Final = re.compile(r"[0-9]{0,9}", re.ASCII)
_LONGEST: Final = 4096
_LONGEST_WHOLE: Final = 7000  # it goes through the sign-in in an address


class NotAnApp(AccessDenied):
    """The client or its address is not known: it is told to the person, and nobody is sent there."""

    http_status = 400  # the request is at fault, whoever sends it (RFC 6749 4.1.2.1)


class SentBack(AccessDenied):
    """A fault that the client is told of (RFC 6749 4.1.2.1)."""

    def __init__(self, error: str, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(description)
        self.error = error
        self.redirect_uri = redirect_uri
        self.state = state


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be put before a person.

    Parameters
    ----------
    client : Client
    redirect_uri, state, challenge : str
    scopes : tuple of Scope
        What is asked for and registered.
    launch : str or None
        Handle of an EHR launch.
    nonce : str or None
    max_age_s : float
        The person must have signed in no longer ago than this, seconds.
    fields : mapping of str to str
        The parameters as they came, but for those that are done with once the person has signed in anew.
    """

    client: Client
    redirect_uri: str
    state: str
    challenge: str
    scopes: tuple[Scope, ...]
    launch: str | None
    nonce: str | None
    max_age_s: float
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        """Our path that asks for the same."""
        return f"{paths.AUTHORIZE}?{urlencode(self.fields)}"

    def asks(self, *names: str) -> bool:
        """Tell whether one of these scopes is among those asked for."""
        return any(scope.text in names for scope in self.scopes)

    @property
    def needs_patient(self) -> bool:
        """Whether the person must choose a patient, unless the launch names one."""
        return self.asks("launch/patient") or any(scope.context == "patient" for scope in self.scopes)


def read_request(services: Services, pairs: Pairs) -> AuthorizationRequest:
    """Check a request.

    Raises
    ------
    NotAnApp
        If it is not known who asks, or where to send the person back to.
    SentBack
        If anything else is wrong.
    """
    fields = {name: value for name, value in pairs if name in KEPT and value}
    client, redirect_uri = _whom(services, pairs, fields)

    def fault(error: str, description: str) -> SentBack:
        return SentBack(error, description, redirect_uri=redirect_uri, state=fields.get("state"))

    for error, description in _faults(services, pairs, fields):
        raise fault(error, description)
    registered = tuple(scope for scope in parse_scopes(client.scope) if scope.context != "system")
    scopes = intersect(parse_scopes(fields.get("scope", "")), registered)
    launch = fields.get("launch")
    if launch is None:  # not started by an EHR: nothing to learn from it
        scopes = tuple(scope for scope in scopes if scope.text != "launch")
    elif not any(scope.text == "launch" for scope in scopes):
        raise fault("invalid_scope", "a launch needs the scope launch")
    if not scopes:
        raise fault("invalid_scope", "nothing of the scope is registered for this client")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        state=fields["state"],
        challenge=fields["code_challenge"],
        scopes=scopes,
        launch=launch,
        nonce=fields.get("nonce"),
        max_age_s=_max_age(dict(pairs)),
        fields=fields,
    )


def address_back(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Return the address that sends a person back to a client."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"


def _max_age(given: Mapping[str, str]) -> float:
    """Return how old a sign-in may be (OpenID Connect Core 1.0, 3.1.2.1); nothing but a fresh one for a login."""
    if "login" in given.get("prompt", "").split():
        return 0.0
    return float(given["max_age"]) if given.get("max_age") else float("inf")


def _whom(services: Services, pairs: Pairs, fields: Mapping[str, str]) -> tuple[Client, str]:
    if len(dict(pairs)) != len(pairs):
        raise NotAnApp("the app has sent a parameter twice")
    if any(len(value) > _LONGEST or not value.isprintable() for _, value in pairs):
        raise NotAnApp("the app has sent a parameter that is too long, or does not print")
    if len(urlencode(fields)) > _LONGEST_WHOLE:
        raise NotAnApp("the app asks in too many words")
    client = services.clients.find(fields.get("client_id", ""))
    if client is None:
        raise NotAnApp("this app is not registered here")
    if fields.get("redirect_uri") not in client.redirect_uris:
        raise NotAnApp("the app wants to send you to an address that is not registered for it")
    return client, fields["redirect_uri"]


def _faults(services: Services, pairs: Pairs, fields: Mapping[str, str]) -> list[tuple[str, str]]:
    given = dict(pairs)
    audiences = paths.names_of(services.base_url, "/fhir/R4")
    rules = (
        ("state" not in fields, "invalid_request", "state is missing"),
        ("request" in given, "request_not_supported", "request objects are not taken"),
        ("request_uri" in given, "request_uri_not_supported", "request objects are not taken"),
        (fields.get("response_type") != "code", "unsupported_response_type", "response_type must be code"),
        (given.get("response_mode", "query") != "query", "invalid_request", "response_mode must be query"),
        (
            fields.get("aud", "").removesuffix("/") not in audiences,
            "invalid_request",
            "aud must be the FHIR base URL of this server",
        ),
        (
            fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(fields.get("code_challenge", "")),
            "invalid_request",
            "PKCE with code_challenge_method S256 is needed",
        ),
        (not _DIGITS.fullmatch(given.get("max_age", "")), "invalid_request", "max_age must be whole seconds"),
        (
            "none" in given.get("prompt", "").split(),
            "interaction_required",
            "the person is asked each time",
        ),
    )
    return [(error, description) for wrong, error, description in rules if wrong]
