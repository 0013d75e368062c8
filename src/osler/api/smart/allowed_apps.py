"""``/account/apps``: a person sees which apps may act in their name, and ends it."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.people.door import Door, Fields, agent_of
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, sign_in_url
from osler.api.services import Services
from osler.api.smart.grants import GrantStore
from osler.api.smart.paths import APPS
from osler.api.smart.scope_words import lines_of
from osler.api.smart.tokens import Grant
from osler.audit import AuditRecord


class AllowedApps:
    """The page of a person's apps."""

    def __init__(self, services: Services, people: People, grants: GrantStore) -> None:
        self._services = services
        self._people = people
        self._grants = grants

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(APPS, door.get(self.show), methods=["GET"]),
            Route(APPS, door.post(self.end), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Answer GET: what is allowed now."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(APPS))
        apps = [self._shown(grant) for grant in self._held(person)]
        return self._people.pages.render("apps", request, apps=apps, person=person.name)

    def end(self, request: Request, fields: Fields) -> Response:
        """Answer POST: end what was allowed; the app's tokens end with it."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(APPS))
        wanted = fields.get("grant", "")
        found = [grant for grant in self._held(person) if grant.id == wanted]
        if found:
            record = AuditRecord(
                event="token-revoked",
                agent=agent_of(request, person.name),
                entities=(f"client:{found[0].client_id}",),
            )

            def change(connection: Connection) -> None:
                self._grants.revoke(connection, wanted)
                self._services.audit.append(connection, record)

            self._services.database.write(change)
        return self._people.pages.redirect(APPS)

    def _held(self, person: SignedIn) -> list[Grant]:
        return self._grants.of(person.name, now=self._services.tokens.clock())

    def _shown(self, grant: Grant) -> Mapping[str, Any]:
        client = self._services.clients.find(grant.client_id)
        return {
            "id": grant.id,
            "name": client.name if client else grant.client_id,
            "since": time.strftime("%d %B %Y", time.gmtime(grant.issued_at)),
            "until": time.strftime("%d %B %Y", time.gmtime(grant.expires_at)),
            "lines": [line.words for line in lines_of(grant.scopes)],
        }
