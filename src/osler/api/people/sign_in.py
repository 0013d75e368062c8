"""``/oauth/sign-in``: the password, then the code of a second factor where there is one.

Nothing that it answers tells whether a name is known: not its words, not its time, not how long one must wait.
"""

import math
from typing import Final
from urllib.parse import parse_qs, urlsplit

import structlog
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.guard import address_of, write_down
from osler.api.people.door import Door, Fields, agent_of
from osler.api.people.service import People
from osler.api.people.sessions import SIGN_IN_PATH, Begun, own_path, sign_in_url
from osler.api.people.steps import CODE_PATH, Step, Steps
from osler.api.services import Services
from osler.audit import Agent, AuditRecord

SIGN_OUT_PATH: Final = "/oauth/sign-out"
_WRONG: Final = "The name or the password is not right."
_STALE: Final = "That page was out of date. Please sign in again; cookies must be allowed."
_WRONG_CODE: Final = "That code is not right, or it was used before."

log = structlog.get_logger(__name__)


class SignIn:
    """The steps of the sign-in."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people
        self._steps = Steps(services, people)

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(SIGN_IN_PATH, door.get(self.show), methods=["GET"]),
            Route(SIGN_IN_PATH, door.post(self.password, stale=self.stale), methods=["POST"]),
            Route(CODE_PATH, door.get(self.show_code), methods=["GET"]),
            Route(CODE_PATH, door.post(self.code), methods=["POST"]),
            Route(SIGN_OUT_PATH, door.post(self.sign_out), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Answer GET: the form, or on to where one wanted to go when somebody is signed in (unless ``again``)."""
        return_to = own_path(request.query_params.get("return_to", ""))
        if not request.query_params.get("again") and self._people.sessions.person(request):
            return self._people.pages.redirect(return_to)
        return self._form(request, return_to)

    def password(self, request: Request, fields: Fields) -> Response:
        """Answer POST of name and password."""
        name, return_to = fields.get("username", "").strip(), own_path(fields.get("return_to", ""))
        browser = self._people.browsers.known(request, name)
        address = address_of(request)
        wait = self._services.database.write(
            lambda c: self._people.waits.begin(c, name, address, known_browser=browser)
        )
        if wait:
            return self._must_wait(request, name, wait, self._form(request, return_to, name=name, wait=wait))
        person = self._people.users.verify(name, fields.get("password", ""))
        if person is None:
            self._failed(request, name, "password")
            return self._form(request, return_to, name=name, wrong=_WRONG)
        step = self._steps.after(person, ("pwd",))

        def change(connection: Connection) -> str:
            self._people.waits.succeeded(connection, name, address, known_browser=browser)
            return self._steps.take(connection, request, step)

        token = self._services.database.write(change)
        return self._steps.onward(request, step, token, return_to)

    def stale(self, request: Request, fields: Fields) -> Response:
        """Answer a form that has grown old: with a new one."""
        return self._form(request, own_path(fields.get("return_to", "")), wrong=_STALE)

    def show_code(self, request: Request) -> Response:
        """Answer GET: the form for the code."""
        return_to = own_path(request.query_params.get("return_to", ""))
        begun = self._people.sessions.begun(request)
        if begun is None or begun.awaits != "code":
            return self._people.pages.redirect(sign_in_url(return_to))
        return self._code_form(request, return_to)

    def code(self, request: Request, fields: Fields) -> Response:
        """Answer POST of a code, or of a recovery code."""
        return_to = own_path(fields.get("return_to", ""))
        begun = self._people.sessions.begun(request)
        if begun is None or begun.awaits != "code":
            return self._people.pages.redirect(sign_in_url(return_to))
        counted, address = f"{begun.name}\0code", address_of(request)
        wait = self._services.database.write(lambda c: self._people.waits.begin(c, counted, address))
        if wait:
            return self._must_wait(request, begun.name, wait, self._code_form(request, return_to, wait=wait))
        step = self._services.database.write(lambda c: self._used(c, request, begun, fields.get("code", "")))
        if step is None:
            self._failed(request, begun.name, "code")
            return self._code_form(request, return_to, wrong=_WRONG_CODE)

        def change(connection: Connection) -> str:
            self._people.waits.succeeded(connection, counted, address)
            return self._steps.take(connection, request, step)

        token = self._services.database.write(change)
        return self._steps.onward(request, step, token, return_to)

    def sign_out(self, request: Request, _fields: Fields) -> Response:
        """Answer POST: end the session."""
        person, token = self._people.sessions.person(request), self._people.sessions.token(request)

        def change(connection: Connection) -> None:
            if token is not None:
                self._people.sessions.end(connection, token)
            if person is not None:
                self._services.audit.append(connection, AuditRecord("signed-out", agent=agent_of(request, person.name)))

        self._services.database.write(change)
        page = self._people.pages.render("signed_out", request)
        return self._people.pages.forget(page)

    def _used(self, connection: Connection, request: Request, begun: Begun, code: str) -> Step | None:
        """Use up a code, or a recovery code; None when it is neither."""
        if self._people.factors.check(connection, begun.name, code):
            return Step(begun.name, (*begun.methods, "otp", "mfa"))
        if not self._people.factors.recover(connection, begun.name, code):
            return None
        self._services.audit.append(connection, AuditRecord("recovery-code-used", agent=agent_of(request, begun.name)))
        return Step(begun.name, (*begun.methods, "mfa"))

    def _failed(self, request: Request, name: str, what: str) -> None:
        self._services.metrics.refused("sign-in", f"wrong-{what}")
        write_down(self._services.audit, self._record("sign-in-failed", request, name, {"what": what}))

    def _must_wait(self, request: Request, name: str, wait: float, page: Response) -> Response:
        self._services.metrics.refused("sign-in", "must-wait")
        log.warning("sign-in must wait after failures", seconds=math.ceil(wait))
        write_down(self._services.audit, self._record("sign-in-delayed", request, name, {"seconds": math.ceil(wait)}))
        page.headers["retry-after"] = str(math.ceil(wait))
        return page

    def _record(self, event: str, request: Request, name: str, detail: dict[str, str | int]) -> AuditRecord:
        # A name that is nobody's is not written down: people type their password there.
        entities = (f"user:{name}",) if self._people.users.find(name) else ()
        agent = Agent("unknown", "peer", address_of(request))
        return AuditRecord(event, agent=agent, outcome=8, entities=entities, detail=detail)

    def _form(
        self, request: Request, return_to: str, *, name: str = "", wrong: str = "", wait: float = 0.0
    ) -> Response:
        return self._people.pages.render(
            "sign_in",
            request,
            status=429 if wait else 403 if wrong else 200,
            leads_to=app_of(return_to),
            return_to=return_to,
            name=name,
            wrong=_waiting(wait) if wait else wrong,
            app="/oauth/authorize" in return_to,
            external=self._people.external_name,
            again=bool(request.query_params.get("again")),
        )

    def _code_form(self, request: Request, return_to: str, *, wrong: str = "", wait: float = 0.0) -> Response:
        return self._people.pages.render(
            "code",
            request,
            status=429 if wait else 403 if wrong else 200,
            leads_to=app_of(return_to),
            return_to=return_to,
            wrong=_waiting(wait) if wait else wrong,
        )


def app_of(return_to: str) -> tuple[str, ...]:
    """Return the app's address that a path leads on to: a form of ours may end in a redirect there.

    That somebody could write another into the path is no harm: it only says where our own form may end, and what the
    authorize endpoint redirects to is what the app was registered with.
    """
    return tuple(parse_qs(urlsplit(return_to).query).get("redirect_uri", ())[:1])


def _waiting(seconds: float) -> str:
    span = f"{math.ceil(seconds)} seconds" if seconds < 100 else f"{math.ceil(seconds / 60)} minutes"
    return f"There were too many attempts. Please try again in {span}."
