"""``/oauth/introspect`` and ``/oauth/revoke``: what a token still is, and its end.

References
----------
RFC 7662; RFC 7009; SMART App Launch 2.2, Token Introspection
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.guard import address_of
from osler.api.services import Services
from osler.api.smart.authentication import Authenticator, Fields, Proven, fields_of
from osler.api.smart.clients import Client
from osler.api.smart.grants import GrantStore
from osler.api.smart.id_token import subject_of
from osler.api.smart.refusal import OAuthRefused, answer, refuse
from osler.api.smart.scopes import INTROSPECT, in_words
from osler.api.smart.tokens import Grant
from osler.audit import Agent, AuditRecord
from osler.errors import OslerError, StorageBusy


class TokenQuestions:
    """Answers what clients ask about tokens that are there."""

    def __init__(self, services: Services, authenticator: Authenticator, grants: GrantStore) -> None:
        self._services = services
        self._authenticator = authenticator
        self._grants = grants

    async def introspect(self, request: Request) -> Response:
        """Answer ``POST /oauth/introspect``: for clients that can prove themselves.

        Each hears of its own tokens; one registered with ``osler/introspect``, such as a resource server, of all.
        """
        return await self._answer(request, self._introspect)

    async def revoke(self, request: Request) -> Response:
        """Answer ``POST /oauth/revoke``: a client ends a token of its own. What it does not hold stays as it is."""
        return await self._answer(request, self._revoke)

    async def _answer(self, request: Request, act: Callable[[Request, Proven, Fields], Response]) -> Response:
        fields = await fields_of(request)

        def run() -> Response:
            try:
                if isinstance(fields, OAuthRefused):
                    raise fields
                proven = self._authenticator.client(request, fields)
                if not fields.get("token"):
                    raise OAuthRefused("invalid_request", "token is missing")
                return act(request, proven, fields)
            except OAuthRefused as refused:
                return refuse(self._services, request, refused)

        return await run_in_threadpool(run)

    def _introspect(self, request: Request, proven: Proven, fields: Fields) -> Response:
        if proven.method == "none":
            raise OAuthRefused("invalid_client", "the client must prove itself", 401)
        services, token = self._services, fields["token"]
        record = AuditRecord(
            event="token-introspected",
            agent=Agent(proven.client.id, "client", address_of(request)),
            detail={"method": proven.method},
        )
        self._write(proven, record, lambda connection: True)
        held = services.tokens.check(token)
        grant = held or self._grants.look(token, now=services.tokens.clock())
        if grant is None or not _may_hear(proven.client, grant):
            return answer({"active": False})
        return answer(self._described(grant) | ({} if held is None else {"token_type": "Bearer"}))

    def _described(self, grant: Grant) -> dict[str, Any]:
        person = grant.person
        described: dict[str, Any] = {
            "active": True,
            "scope": in_words(grant.scopes),
            "client_id": grant.client_id,
            "iat": int(grant.issued_at),
            "exp": int(grant.expires_at),
            "iss": self._services.base_url,
            "aud": self._services.fhir_base,
            **grant.context.parameters(),
        }
        if person is None:
            return described | {"sub": grant.client_id}
        described["sub"] = subject_of(person.name, self._services.base_url)
        if person.fhir_user is not None and {"fhirUser", "profile"} & {scope.text for scope in grant.scopes}:
            described["fhirUser"] = f"{self._services.fhir_base}/{person.fhir_user}"
        return described

    def _revoke(self, request: Request, proven: Proven, fields: Fields) -> Response:
        tokens, token, client_id = self._services.tokens, fields["token"], proven.client.id
        record = AuditRecord(event="token-revoked", agent=Agent(client_id, "client", address_of(request)))

        def end(connection: Connection) -> bool:
            access = tokens.revoke(connection, token, client_id)
            return self._grants.revoke_token(connection, token, client_id) or access

        self._write(proven, record, end)
        empty: Mapping[str, Any] = {}
        return answer(empty)

    def _write(self, proven: Proven, record: AuditRecord, act: Callable[[Connection], bool]) -> None:
        """Use up the assertion, act, and write down what was done: all or nothing."""
        services, used = self._services, proven.assertion

        def change(connection: Connection) -> bool:
            if used is not None and not services.tokens.use_assertion(
                connection, proven.client.id, used.jti, expires_at=used.expires_at
            ):
                return False
            if act(connection):
                services.audit.append(connection, record)
            return True

        try:
            done = services.database.write(change)
        except (OslerError, OSError) as error:
            raise StorageBusy("it cannot be written down, so nothing is answered") from error
        if not done:
            raise OAuthRefused("invalid_client", "the assertion was used before", 401)


def _may_hear(client: Client, grant: Grant) -> bool:
    return grant.client_id == client.id or INTROSPECT in client.scope.split()
