"""``/account/break-glass`` and ``/account/reviews``: asking for what is restricted, and looking at who did."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.guard import write_down
from osler.api.people.door import Door, Fields, agent_of
from osler.api.people.glass import Opening
from osler.api.people.roles import CARING, REVIEWING, Role
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, sign_in_url
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, InputRejected, NotFound

GLASS_PATH: Final = "/account/break-glass"
REVIEWS_PATH: Final = "/account/reviews"

log = structlog.get_logger(__name__)


class GlassPages:
    """The pages of broken glass."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(GLASS_PATH, door.get(self.show), methods=["GET"]),
            Route(GLASS_PATH, door.post(self.ask), methods=["POST"]),
            Route(REVIEWS_PATH, door.get(self.reviews), methods=["GET"]),
            Route(REVIEWS_PATH, door.post(self.review), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Answer GET: the form, and what is open now."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(GLASS_PATH))
        self._need(person, CARING)
        return self._form(request, person, patient=request.query_params.get("patient", ""))

    def ask(self, request: Request, fields: Fields) -> Response:
        """Answer POST: break the glass, on record and with an alarm."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(GLASS_PATH))
        self._need(person, CARING)
        patient = fields.get("patient", "").strip().removeprefix("Patient/")
        reason = fields.get("reason", "")
        now = self._people.clock()

        def change(connection: Connection) -> Opening:
            opening = self._people.glass.break_for(connection, person.name, patient, reason, now=now)
            self._services.audit.append(connection, opening.broken(agent_of(request, person.name), person.role.value))
            return opening

        try:
            self._services.resources.read("Patient", patient)
            self._services.database.write(change)
        except NotFound:
            wrong = {"patient": "There is no patient of that id."}
            return self._form(request, person, patient=patient, reason=reason, wrong=wrong)
        except InputRejected:
            wrong = {"reason": "Please say in ten characters or more why you need this."}
            return self._form(request, person, patient=patient, reason=reason, wrong=wrong)
        self._services.metrics.refused("glass", "broken")
        log.warning("glass broken")
        return self._people.pages.redirect(GLASS_PATH)

    def reviews(self, request: Request) -> Response:
        """Answer GET: what waits for a review, and what was reviewed."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(REVIEWS_PATH))
        self._need(person, REVIEWING)
        return self._reviews(request, person)

    def review(self, request: Request, fields: Fields) -> Response:
        """Answer POST: note what the reviewer found."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(REVIEWS_PATH))
        self._need(person, REVIEWING)
        opening_id, words = fields.get("id", ""), fields.get("words", "")

        def change(connection: Connection) -> None:
            found = self._people.glass.review(connection, opening_id, words, by=person.name, now=self._people.clock())
            self._services.audit.append(connection, found.reviewed(agent_of(request, person.name)))

        try:
            self._services.database.write(change)
        except InputRejected:
            return self._reviews(request, person, wrong={opening_id: "Please write ten characters or more."})
        return self._people.pages.redirect(REVIEWS_PATH)

    def _reviews(self, request: Request, person: SignedIn, *, wrong: dict[str, str] | None = None) -> Response:
        openings = self._people.glass.list()
        record = AuditRecord("glass-listed", agent=agent_of(request, person.name), detail={"count": len(openings)})
        write_down(self._services.audit, record)
        return self._people.pages.render(
            "reviews",
            request,
            status=422 if wrong else 200,
            waiting=_shown([o for o in openings if o.reviewed_at is None]),
            accesses=self._people.glass.accesses,
            done=_shown([o for o in openings if o.reviewed_at is not None]),
            wrong=wrong or {},
        )

    def _form(
        self,
        request: Request,
        person: SignedIn,
        *,
        patient: str,
        reason: str = "",
        wrong: dict[str, str] | None = None,
    ) -> Response:
        now = self._people.clock()
        held = [o for o in self._people.glass.list(person=person.name) if o.ends_at > now]
        return self._people.pages.render(
            "break_glass",
            request,
            status=422 if wrong else 200,
            patient=patient,
            reason=reason,
            wrong=wrong or {},
            minutes=round(self._people.glass.lasts_s / 60),
            held=_shown(held),
        )

    def _need(self, person: SignedIn, roles: frozenset[Role]) -> None:
        if person.role not in roles:
            raise AccessDenied(f"this page is for {' and '.join(f'the role {role}' for role in sorted(roles))}")


def _shown(openings: Sequence[Opening]) -> list[tuple[Opening, datetime, datetime]]:
    return [
        (o, datetime.fromtimestamp(o.opened_at, tz=UTC), datetime.fromtimestamp(o.ends_at, tz=UTC)) for o in openings
    ]
