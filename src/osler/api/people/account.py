"""``/account``: what a signed-in person sees of their account, and of their password."""

from datetime import UTC, datetime

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.people.confirm import Confirm
from osler.api.people.door import Door, Fields, agent_of, sentence
from osler.api.people.passwords import check_password
from osler.api.people.roles import CARING, REVIEWING
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, sign_in_url
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import InputRejected

PASSWORD_PATH = "/account/password"  # noqa: S105


class Account:
    """The pages of one's own account."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people
        self._confirm = Confirm(services, people)

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route("/account", door.get(self.home), methods=["GET"]),
            Route(PASSWORD_PATH, door.get(self.show_password), methods=["GET"]),
            Route(PASSWORD_PATH, door.post(self.password), methods=["POST"]),
        ]

    def home(self, request: Request) -> Response:
        """Answer GET: what one may do here."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        account = self._people.users.find(person.name)
        return self._people.pages.render(
            "account",
            request,
            person=person,
            done=request.query_params.get("done") == "password",
            since=datetime.fromtimestamp(person.auth_time, tz=UTC),
            second_factor=account is not None and account.second_factor,
            external=account is not None and account.subject is not None,
            caring=person.role in CARING,
            documenting=person.role in CARING and self._services.scribe is not None,
            reviewing=person.role in REVIEWING,
        )

    def show_password(self, request: Request) -> Response:
        """Answer GET: the form for a new password."""
        person = self._people.sessions.person(request)
        return self._password_form(request, person, {}) if person else self._sign_in(request)

    def password(self, request: Request, fields: Fields) -> Response:
        """Answer POST: change the password; every other session of the person ends."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        new = fields.get("new-password", "")
        wrong = {}
        try:
            check_password(person.name, new)
        except InputRejected as error:
            wrong["new"] = sentence(str(error))
        if not wrong and fields.get("again", "") != new:
            wrong["again"] = "The two are not the same."
        if not wrong:
            current = self._confirm.password(request, person.name, fields.get("current-password", ""))
            if current:
                wrong["current"] = current
        if wrong:
            return self._password_form(request, person, wrong)

        def within(connection: Connection) -> None:
            entities = (f"user:{person.name}",)
            agent = agent_of(request, person.name)
            self._services.audit.append(connection, AuditRecord("password-changed", agent=agent, entities=entities))

        self._people.users.set_password(person.name, new, within=within)
        token = self._services.database.write(
            lambda c: self._people.sessions.start(c, person.name, person.methods, before=None)
        )
        return self._people.pages.redirect("/account?done=password", cookie=token)

    def _password_form(self, request: Request, person: SignedIn, wrong: dict[str, str]) -> Response:
        status = 422 if wrong else 200
        return self._people.pages.render("password", request, status=status, person=person, wrong=wrong)

    def _sign_in(self, request: Request) -> Response:
        return self._people.pages.redirect(sign_in_url(request.url.path))
