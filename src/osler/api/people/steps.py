"""The steps of a sign-in, whichever way it began: what is still to be done, and what happens when all is."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from osler.api.people.door import agent_of
from osler.api.people.service import People
from osler.api.people.store import Person
from osler.api.services import Services
from osler.audit import AuditRecord

CODE_PATH: Final = "/oauth/sign-in/code"
SECOND_FACTOR_PATH: Final = "/account/second-factor"
_PATHS: Final = {"code": CODE_PATH, "enrol": SECOND_FACTOR_PATH}


@dataclass(frozen=True, slots=True)
class Step:
    """What a person has done so far, and what is to be done next: ``code``, ``enrol``, or nothing."""

    name: str
    methods: tuple[str, ...]
    awaits: str = ""


class Steps:
    """Leads from one step to the next."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people

    def after(self, person: Person, methods: tuple[str, ...]) -> Step:
        """Return the step after a person has shown who they are by some methods."""
        if "mfa" in methods:
            return Step(person.name, methods)
        if person.second_factor:
            return Step(person.name, methods, "code")
        return Step(person.name, methods, "enrol" if person.role in self._people.policy.require_mfa else "")

    def take(self, connection: Connection, request: Request, step: Step) -> str:
        """Take a step, within the caller's transaction; return the new value of the session's cookie."""
        before = self._people.sessions.token(request)
        if not step.awaits:
            detail = {"methods": " ".join(step.methods)}
            self._services.audit.append(
                connection, AuditRecord("signed-in", agent=agent_of(request, step.name), detail=detail)
            )
        return self._people.sessions.start(connection, step.name, step.methods, awaits=step.awaits, before=before)

    def onward(self, request: Request, step: Step, token: str, return_to: str) -> Response:
        """Answer with the way to the next step, or to where the person wanted to go."""
        path = _PATHS.get(step.awaits)
        target = f"{path}?return_to={quote(return_to, safe='')}" if path else return_to
        response = self._people.pages.redirect(target, cookie=token)
        return response if step.awaits else self.remembered(request, response, step)

    def remembered(self, request: Request, response: Response, step: Step) -> Response:
        """Let the browser keep that the person has signed in there."""
        self._people.browsers.remember(request, response, step.name)
        return response
