"""``/oauth/token``: a client gets access tokens, for itself or of what a person lets it do.

References
----------
RFC 6749 4.1.3, 4.4, 5, 6; SMART App Launch 2.2
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.guard import CLIENT_KEY, address_of
from osler.api.services import Services
from osler.api.smart.authentication import Authenticator, Fields, Proven, fields_of
from osler.api.smart.grants import Allowed, GrantStore, Refused
from osler.api.smart.id_token import id_token
from osler.api.smart.refusal import OAuthRefused, answer, refuse
from osler.api.smart.scopes import SPOKE, Scope, in_words, intersect, parse_scopes
from osler.audit import Agent, AuditRecord
from osler.errors import OslerError, StorageBusy

GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")


@dataclass(frozen=True, slots=True)
class _Issued:
    document: Mapping[str, Any]
    allowed: Allowed | None = None


class TokenEndpoint:
    """Answers requests for tokens."""

    def __init__(self, services: Services, authenticator: Authenticator, grants: GrantStore) -> None:
        self._services = services
        self._authenticator = authenticator
        self._grants = grants

    async def __call__(self, request: Request) -> Response:
        """Answer ``POST /oauth/token``."""
        fields = await fields_of(request)
        return await run_in_threadpool(self._answer, request, fields)

    def _answer(self, request: Request, fields: Fields | OAuthRefused) -> Response:
        try:
            if isinstance(fields, OAuthRefused):
                raise fields
            kinds: dict[str, Callable[[Request, Fields], Response]] = {
                "client_credentials": self._for_itself,
                "authorization_code": self._by_code,
                "refresh_token": self._by_refresh,
            }
            kind = kinds.get(fields.get("grant_type", ""))
            if kind is None:
                raise OAuthRefused("unsupported_grant_type", f"the grant type must be one of {', '.join(GRANT_TYPES)}")
            return kind(request, fields)
        except OAuthRefused as refused:
            return refuse(self._services, request, refused)

    def _for_itself(self, request: Request, fields: Fields) -> Response:
        proven = self._authenticator.client(request, fields)
        client = proven.client
        if proven.method == "none":
            raise OAuthRefused("unauthorized_client", "a public client acts for no one but a person")
        registered = tuple(scope for scope in parse_scopes(client.scope) if _for_itself(scope))
        asked = parse_scopes(fields["scope"]) if fields.get("scope") else registered
        granted = intersect(asked, registered)
        if not granted:
            raise OAuthRefused("invalid_scope", "nothing of the scope is registered for this client")
        tokens = self._services.tokens

        def issue(connection: Connection) -> _Issued:
            token = tokens.issue(connection, client.id, granted)
            return _Issued(
                {
                    "access_token": token,
                    "token_type": "bearer",
                    "expires_in": tokens.lifetime_s,
                    "scope": in_words(granted),
                }
            )

        return answer(self._write(request, proven, "client_credentials", issue).document)

    def _by_code(self, request: Request, fields: Fields) -> Response:
        proven = self._authenticator.client(request, fields)
        for name in ("code", "redirect_uri", "code_verifier"):
            if not fields.get(name):
                raise OAuthRefused("invalid_request", f"{name} is missing")

        def issue(connection: Connection) -> _Issued | Refused:
            allowed = self._grants.redeem(
                connection,
                fields["code"],
                client_id=proven.client.id,
                redirect_uri=fields["redirect_uri"],
                verifier=fields["code_verifier"],
                now=self._services.tokens.clock(),
            )
            if isinstance(allowed, Refused):
                return allowed
            return self._tokens(connection, allowed, allowed.grant.scopes)

        issued = self._write(request, proven, "authorization_code", issue)
        document = dict(issued.document)
        if issued.allowed is not None and self._services.signing_keys is not None:
            token = id_token(issued.allowed, self._services, now=self._services.tokens.clock())
            document |= {"id_token": self._services.signing_keys.sign(token)} if token else {}
        return answer(document)

    def _by_refresh(self, request: Request, fields: Fields) -> Response:
        if not fields.get("refresh_token"):
            raise OAuthRefused("invalid_request", "refresh_token is missing")
        proven = self._authenticator.client(request, self._with_client(request, fields))
        asked = parse_scopes(fields["scope"]) if fields.get("scope") else None

        def issue(connection: Connection) -> _Issued | Refused:
            now = self._services.tokens.clock()
            allowed = self._grants.refresh(connection, fields["refresh_token"], client_id=proven.client.id, now=now)
            if isinstance(allowed, Refused):
                return allowed
            held = allowed.grant.scopes
            scopes = held if asked is None else intersect(asked, held)
            beyond = [scope for scope in asked or () if not intersect([scope], held)]
            if beyond or not any(scope.context for scope in scopes):
                # raised, so that the refresh token is not used up (RFC 6749 section 6)
                raise OAuthRefused("invalid_scope", "the scope goes beyond what was granted")
            return self._tokens(connection, allowed, scopes)

        return answer(self._write(request, proven, "refresh_token", issue).document)

    def _with_client(self, request: Request, fields: Fields) -> Fields:
        """Return the fields with the client's id, which a public client need not send beside its refresh token."""
        if "authorization" in request.headers or {"client_id", "client_secret", "client_assertion"} & fields.keys():
            return fields
        return {**fields, "client_id": self._grants.holder(fields["refresh_token"]) or ""}

    def _tokens(self, connection: Connection, allowed: Allowed, scopes: tuple[Scope, ...]) -> _Issued:
        token, lifetime_s = self._services.tokens.issue_for(connection, allowed.grant, scopes)
        document: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": lifetime_s,
            "scope": in_words(scopes),
            **allowed.grant.context.parameters(),
        }
        refresh = self._grants.refreshable(connection, allowed.grant)
        if refresh is not None:
            document["refresh_token"] = refresh
        return _Issued(document, allowed)

    def _write(
        self, request: Request, proven: Proven, kind: str, issue: Callable[[Connection], _Issued | Refused]
    ) -> _Issued:
        """Issue tokens, use up what they are issued for, and write it down: all or nothing.

        A refusal is committed too: it may have revoked what somebody else had got.
        """
        services = self._services

        def change(connection: Connection) -> _Issued | Refused | None:
            used = proven.assertion
            if used is not None and not services.tokens.use_assertion(
                connection, proven.client.id, used.jti, expires_at=used.expires_at
            ):
                return None
            issued = issue(connection)
            if isinstance(issued, _Issued):
                services.audit.append(connection, _record(request, proven, kind, issued))
            elif issued.revoked:
                services.audit.append(connection, _revoked(request, proven, issued))
            return issued

        try:
            issued = services.database.write(change)
        except OAuthRefused:
            raise
        except (OslerError, OSError) as error:
            raise StorageBusy("the token cannot be written down, so it is not issued") from error
        if issued is None:
            raise OAuthRefused("invalid_client", "the assertion was used before", 401)
        if isinstance(issued, Refused):
            raise OAuthRefused("invalid_grant", issued.words)
        return issued


def _for_itself(scope: Scope) -> bool:
    return scope.context == "system" or scope.text == SPOKE


def _record(request: Request, proven: Proven, kind: str, issued: _Issued) -> AuditRecord:
    detail = {"method": proven.method, "grant": kind, "scope": issued.document["scope"]}
    grant = issued.allowed.grant if issued.allowed else None
    return AuditRecord(
        event="token-issued",
        agent=Agent(request.scope[CLIENT_KEY], "client", address_of(request)),
        patient=grant.context.patient if grant else None,
        entities=(f"user:{grant.person.name}",) if grant and grant.person else (),
        detail=detail,
    )


def _revoked(request: Request, proven: Proven, refused: Refused) -> AuditRecord:
    agent = Agent(proven.client.id, "client", address_of(request))
    return AuditRecord(event="token-revoked", agent=agent, outcome=8, detail={"reason": refused.words})
