"""How a client proves itself at the token, introspection and revocation endpoints.

References
----------
RFC 6749 2.3; RFC 7523; SMART App Launch 2.2, Client Authentication
"""

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from starlette.exceptions import HTTPException
from starlette.requests import Request

from osler.api.forms import Pairs, read_form
from osler.api.guard import CLIENT_KEY, address_of
from osler.api.services import Services
from osler.api.smart.assertion import ASSERTION_TYPE, Assertion, verify_assertion
from osler.api.smart.clients import Client
from osler.api.smart.key_sets import ClientKeys
from osler.api.smart.paths import TOKEN, names_of
from osler.api.smart.refusal import WAIT_S, OAuthRefused
from osler.errors import Malformed, Unauthenticated

_MAX_FAILURES: Final = 10
_MAX_REMEMBERED: Final = 10_000

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Proven:
    """A client, and how it has proven itself; ``none`` for a public client, which only says who it is."""

    client: Client
    method: str
    assertion: Assertion | None = None


class Authenticator:
    """Tells which client sends a form."""

    def __init__(self, services: Services, keys: ClientKeys) -> None:
        self._services = services
        self._keys = keys
        self._audiences = names_of(services.base_url, TOKEN)
        self._failures = Failures()

    def client(self, request: Request, fields: Fields) -> Proven:
        """Return the client that has proven itself in one way, or a public one that says its id.

        Raises
        ------
        OAuthRefused
            If it cannot be known.
        """
        basic = _basic(request.headers.get("authorization", ""))
        ways = [basic is not None, "client_secret" in fields, "client_assertion" in fields]
        if sum(ways) > 1:
            raise OAuthRefused("invalid_client", "the client must prove itself in one way", 401)
        try:
            if "client_assertion" in fields:
                assertion = self._assertion(fields)
                proven = Proven(assertion.client, "private_key_jwt", assertion)
            elif any(ways):
                client_id, secret = basic or (fields.get("client_id", ""), fields["client_secret"])
                client = self._secret(address_of(request), client_id, secret)
                proven = Proven(client, "client_secret_basic" if basic else "client_secret_post")
            else:
                proven = Proven(self._public(fields.get("client_id", "")), "none")
        except Unauthenticated as error:
            raise OAuthRefused("invalid_client", str(error), 401) from None
        if fields.get("client_id", proven.client.id) != proven.client.id:
            raise OAuthRefused("invalid_client", "the client_id is that of another client", 401)
        request.scope[CLIENT_KEY] = proven.client.id
        return proven

    def _public(self, client_id: str) -> Client:
        client = self._services.clients.find(client_id)
        if client is None or not client.public:
            raise Unauthenticated("the client must prove itself")
        return client

    def _assertion(self, fields: Fields) -> Assertion:
        if fields.get("client_assertion_type") != ASSERTION_TYPE:
            raise Unauthenticated("the client_assertion_type is not known")
        return verify_assertion(
            fields["client_assertion"],
            find=self._services.clients.find,
            key_of=self._keys.find,
            audiences=self._audiences,
            now=self._services.tokens.clock(),
        )

    def _secret(self, address: str, client_id: str, secret: str) -> Client:
        """Check a secret. Unlike a signature it can be guessed, so whoever fails too often must wait."""
        key, now = (address, client_id), self._services.tokens.clock()
        if self._failures.too_many(key, now):
            raise OAuthRefused("temporarily_unavailable", "too many failures; wait a minute", 429)
        client = self._services.clients.find(client_id)
        if client is None or not client.has_secret or not self._services.clients.secret_holds(client_id, secret):
            self._failures.add(key, now)
            raise Unauthenticated("the client or its secret is not known")
        return client


class Failures:
    """Counts failures by what is guessed and from where; forgets after a minute. Holds a bounded number of them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def too_many(self, key: tuple[str, str], now: float) -> bool:
        """Tell whether this one must wait."""
        with self._lock:
            since, count = self._counts.get(key, (now, 0))
            return count >= _MAX_FAILURES and now - since < WAIT_S

    def add(self, key: tuple[str, str], now: float) -> None:
        """Count a failure."""
        with self._lock:
            since, count = self._counts.pop(key, (now, 0))
            self._counts[key] = (since, count + 1) if now - since < WAIT_S else (now, 1)
            while len(self._counts) > _MAX_REMEMBERED:
                self._counts.popitem(last=False)


async def fields_of(request: Request) -> Fields | OAuthRefused:
    """Return the fields of the form that a client sends, or why it cannot be read."""
    try:
        form: Pairs = await read_form(request)
    except HTTPException as error:
        return OAuthRefused("invalid_request", error.detail, error.status_code)
    except Malformed as error:
        return OAuthRefused("invalid_request", str(error), error.http_status)
    fields = dict(form)
    if len(fields) != len(form):
        return OAuthRefused("invalid_request", "a parameter comes twice")
    return fields


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, colon, secret = "", "", ""
    if not colon:
        raise OAuthRefused("invalid_client", "the Authorization header cannot be read", 401)
    return unquote_plus(name), unquote_plus(secret)  # RFC 6749 2.3.1
