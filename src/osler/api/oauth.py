"""``/oauth/token``: a registered client gets a short-lived token for its own use (client_credentials).

References
----------
RFC 6749 4.4, 5.1, 5.2; RFC 7523; SMART App Launch 2.2, Backend Services
"""

import base64
import binascii
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.access import Client
from osler.api.assertion import ASSERTION_TYPE, Assertion, verify_assertion
from osler.api.forms import Pairs, read_form
from osler.api.guard import CLIENT_KEY, address_of, denied, write_down
from osler.api.scopes import Scope, intersect, parse_scopes
from osler.api.services import Services
from osler.audit import Agent, AuditRecord
from osler.errors import AccessDenied, Malformed, OslerError, StorageBusy, Unauthenticated

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}
_MAX_FAILURES: Final = 10
_WINDOW_S: Final = 60.0
_MAX_REMEMBERED: Final = 10_000


class TokenRefused(AccessDenied):
    """What RFC 6749 5.2 calls an error response."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


class TokenEndpoint:
    """Answers requests for tokens."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._audiences = token_audiences(services.base_url)
        self._failures = Failures()

    async def __call__(self, request: Request) -> Response:
        """Answer ``POST /oauth/token``."""
        unread: HTTPException | None = None
        form: Pairs = []
        try:
            form = await read_form(request)
        except HTTPException as error:
            unread = error
        except Malformed as error:
            unread = HTTPException(error.http_status, str(error))
        return await run_in_threadpool(self._answer, request, form, unread)

    def _answer(self, request: Request, form: Pairs, unread: HTTPException | None) -> Response:
        try:
            if unread is not None:
                raise TokenRefused("invalid_request", unread.detail, unread.status_code)
            return self._issue(request, form)
        except TokenRefused as refused:
            self._services.metrics.refused("oauth", refused.error)
            write_down(self._services.audit, denied(request, refused.error))
            headers = dict(_NO_STORE)
            if refused.status == 401:
                headers["www-authenticate"] = 'Basic realm="osler"'
            elif refused.status == 429:
                headers["retry-after"] = str(int(_WINDOW_S))
            elif refused.status == 408:
                headers["connection"] = "close"
            return _json({"error": refused.error, "error_description": str(refused)}, refused.status, headers)

    def _issue(self, request: Request, form: Pairs) -> Response:
        fields = dict(form)
        if len(fields) != len(form):
            raise TokenRefused("invalid_request", "a parameter comes twice")
        if fields.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "the grant type must be client_credentials")
        client, assertion = self._authenticate(request, fields)
        request.scope[CLIENT_KEY] = client.id
        registered = parse_scopes(client.scope)
        asked = parse_scopes(fields["scope"]) if fields.get("scope") else registered
        granted = intersect(asked, registered)
        if not granted:
            raise TokenRefused("invalid_scope", "nothing of the scope is registered for this client")
        token = self._write(Agent(client.id, "client", address_of(request)), client, granted, assertion)
        answer = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._services.tokens.lifetime_s,
            "scope": " ".join(scope.text for scope in granted),
        }
        return _json(answer, 200, _NO_STORE)

    def _authenticate(self, request: Request, fields: Mapping[str, str]) -> tuple[Client, Assertion | None]:
        basic = _basic(request.headers.get("authorization", ""))
        ways = [basic is not None, "client_secret" in fields, "client_assertion" in fields]
        if sum(ways) != 1:
            raise TokenRefused("invalid_client", "the client must prove itself in one way", 401)
        try:
            if "client_assertion" in fields:
                assertion = self._assertion(fields)
                return assertion.client, assertion
            client_id, secret = basic or (fields.get("client_id", ""), fields["client_secret"])
            return self._secret(address_of(request), client_id, secret), None
        except Unauthenticated as error:
            raise TokenRefused("invalid_client", str(error), 401) from None

    def _assertion(self, fields: Mapping[str, str]) -> Assertion:
        if fields.get("client_assertion_type") != ASSERTION_TYPE:
            raise Unauthenticated("the client_assertion_type is not known")
        assertion = verify_assertion(
            fields["client_assertion"],
            find=self._services.clients.find,
            audiences=self._audiences,
            now=self._services.tokens.clock(),
        )
        if fields.get("client_id", assertion.client.id) != assertion.client.id:
            raise Unauthenticated("the client_id is not the assertion's")
        return assertion

    def _secret(self, address: str, client_id: str, secret: str) -> Client:
        """Check a secret. Unlike a signature it can be guessed, so whoever fails too often must wait."""
        key, now = (address, client_id), self._services.tokens.clock()
        if self._failures.too_many(key, now):
            raise TokenRefused("temporarily_unavailable", "too many failures; wait a minute", 429)
        client = self._services.clients.find(client_id)
        if client is None or not client.has_secret or not self._services.clients.secret_holds(client_id, secret):
            self._failures.add(key, now)
            raise Unauthenticated("the client or its secret is not known")
        return client

    def _write(self, agent: Agent, client: Client, granted: tuple[Scope, ...], assertion: Assertion | None) -> str:
        """Issue the token, use up the assertion and write it down: all or nothing."""
        services = self._services
        method = "private_key_jwt" if assertion else "client_secret"
        scope = " ".join(s.text for s in granted)
        record = AuditRecord(event="token-issued", agent=agent, detail={"method": method, "scope": scope})

        def change(connection: Connection) -> str | None:
            if assertion is not None and not services.tokens.use_assertion(
                connection, client.id, assertion.jti, expires_at=assertion.expires_at
            ):
                return None
            token = services.tokens.issue(connection, client.id, granted)
            services.audit.append(connection, record)
            return token

        try:
            token = services.database.write(change)
        except (OslerError, OSError) as error:
            raise StorageBusy("the token cannot be written down, so it is not issued") from error
        if token is None:
            raise TokenRefused("invalid_client", "the assertion was used before", 401)
        return token


class Failures:
    """Counts failed proofs by address and claimed client; forgets after a minute. Holds a bounded number of them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def too_many(self, key: tuple[str, str], now: float) -> bool:
        """Tell whether this one must wait."""
        with self._lock:
            since, count = self._counts.get(key, (now, 0))
            return count >= _MAX_FAILURES and now - since < _WINDOW_S

    def add(self, key: tuple[str, str], now: float) -> None:
        """Count a failure."""
        with self._lock:
            since, count = self._counts.pop(key, (now, 0))
            self._counts[key] = (since, count + 1) if now - since < _WINDOW_S else (now, 1)
            while len(self._counts) > _MAX_REMEMBERED:
                self._counts.popitem(last=False)


def token_audiences(base_url: str) -> frozenset[str]:
    """Return the URLs that an assertion's ``aud`` may name: ours, on loopback under each of its names.

    The Host header of a request decides nothing here: an assertion made for another server must not hold.
    """
    parts = urlsplit(base_url)
    host, port = parts.netloc, ""
    if not parts.netloc.endswith("]") and ":" in parts.netloc:
        host, _, port = parts.netloc.rpartition(":")
    hosts = _LOOPBACK if host in _LOOPBACK else (host,)
    ends = f":{port}" if port else ""
    return frozenset(f"{parts.scheme}://{name}{ends}{parts.path}{TOKEN_PATH}" for name in hosts)


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, colon, secret = "", "", ""
    if not colon:
        raise TokenRefused("invalid_client", "the Authorization header cannot be read", 401)
    return unquote_plus(name), unquote_plus(secret)  # RFC 6749 2.3.1


def _json(document: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(document), status, headers, "application/json")
