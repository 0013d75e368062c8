"""``/account/second-factor``: a secret as a picture, its first code, and recovery codes."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.people.confirm import Confirm
from osler.api.people.door import Door, Fields, agent_of, sentence
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, own_path, sign_in_url
from osler.api.people.steps import SECOND_FACTOR_PATH, Step, Steps
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import InputRejected


class Enrolment:
    """The page on which a person takes a second factor into use: after the sign-in, or as a step of it."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people
        self._steps = Steps(services, people)
        self._confirm = Confirm(services, people)

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(SECOND_FACTOR_PATH, door.get(self.show), methods=["GET"]),
            Route(SECOND_FACTOR_PATH, door.post(self.enrol), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Answer GET: a new secret, and the form for its first code."""
        person, begun = self._enrolling(request)
        if person is None and begun is None:
            return self._people.pages.redirect(sign_in_url(SECOND_FACTOR_PATH))
        return self._form(request, person, begun, {"return_to": request.query_params.get("return_to", "")})

    def enrol(self, request: Request, fields: Fields) -> Response:
        """Answer POST of the first code: take the secret into use, show recovery codes, and complete the sign-in."""
        person, begun = self._enrolling(request)
        if person is None and begun is None:
            return self._people.pages.redirect(sign_in_url(SECOND_FACTOR_PATH))
        if person is not None:
            wrong = self._confirm.password(request, person.name, fields.get("password", ""))
            if wrong:
                return self._form(request, person, begun, fields, password=wrong)

        def change(connection: Connection) -> tuple[list[str], str | None]:
            name = person.name if person else begun.name if begun else ""
            codes = self._people.factors.enrol(connection, name, fields.get("ticket", ""), fields.get("code", ""))
            self._services.audit.append(
                connection,
                AuditRecord("second-factor-enrolled", agent=agent_of(request, name), entities=(f"user:{name}",)),
            )
            return codes, self._steps.take(connection, request, begun) if begun else None

        try:
            codes, token = self._services.database.write(change)
        except InputRejected as error:
            return self._form(request, person, begun, fields, code=sentence(str(error)))
        return_to = own_path(fields.get("return_to", ""))
        page = self._people.pages.render("recovery_codes", request, cookie=token, codes=codes, return_to=return_to)
        return self._steps.remembered(request, page, begun) if begun else page

    def _enrolling(self, request: Request) -> tuple[SignedIn | None, Step | None]:
        """Return who is signed in, or else what completes a sign-in that waits for this."""
        person = self._people.sessions.person(request)
        begun = None if person else self._people.sessions.begun(request)
        if begun is None or begun.awaits != "enrol":
            return person, None
        return None, Step(begun.name, (*begun.methods, "otp", "mfa"))

    def _form(
        self, request: Request, person: SignedIn | None, begun: Step | None, fields: Fields, **wrong: str
    ) -> Response:
        name = person.name if person else begun.name if begun else ""
        return self._people.pages.render(
            "second_factor",
            request,
            status=422 if wrong else 200,
            offer=self._people.factors.offer(name, fields.get("ticket", "")),
            return_to=own_path(fields.get("return_to", "")),
            person=person,
            wrong=wrong,
        )
