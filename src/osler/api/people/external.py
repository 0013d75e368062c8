"""``/oauth/external``: to the identity provider and back, to sign in or to sign in again."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from osler.api.people.accounts import Accounts
from osler.api.people.again import Again
from osler.api.people.door import Door, agent_of
from osler.api.people.identity_provider import Asserted, IdentityProvider
from osler.api.people.journeys import Journeys
from osler.api.people.service import People
from osler.api.people.sessions import own_path
from osler.api.people.steps import Steps
from osler.api.people.store import Person
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, ConfigError

EXTERNAL_PATH: Final = "/oauth/external"
RETURN_PATH: Final = "/oauth/external/return"


class External:
    """The way to the identity provider and back."""

    def __init__(self, services: Services, people: People, provider: IdentityProvider) -> None:
        self._services = services
        self._people = people
        self._journeys = Journeys(people, provider)
        self._again = Again(services, people, self._journeys)
        self._steps = Steps(services, people)
        self._accounts = Accounts(people.users, services.resources.put, services.audit)

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(EXTERNAL_PATH, door.get(self.start), methods=["GET"]),
            Route(RETURN_PATH, door.get(self.back), methods=["GET"]),
        ]

    def start(self, request: Request) -> Response:
        """Answer GET: on to the provider."""
        return_to = own_path(request.query_params.get("return_to", ""))
        journey, url = self._journeys.begin(return_to, again=bool(request.query_params.get("again")))
        return self._journeys.keep(RedirectResponse(url, 303, {"cache-control": "no-store"}), journey)

    def back(self, request: Request) -> Response:
        """Answer GET: the provider sent the person back, with a code or with what went wrong."""
        journey = self._journeys.returned(request)
        if journey.about:
            return self._again.back(request, journey)
        asserted = self._journeys.asserted(request, journey)
        person = self._person(request, asserted)
        step = self._steps.after(person, ("ext", "mfa") if asserted.second_factor else ("ext",))
        token = self._services.database.write(lambda c: self._steps.take(c, request, step))
        return self._journeys.over(self._steps.onward(request, step, token, journey.return_to))

    def _person(self, request: Request, asserted: Asserted) -> Person:
        """Return the account of who signed in there; a new one, or with another role, as the provider says."""
        if asserted.role is None:
            raise AccessDenied("your account there has no role that counts here; ask an administrator")
        users = self._people.users
        person = users.find_subject(asserted.subject)
        agent = agent_of(request, asserted.name or "unknown")
        if person is None:
            try:
                return self._accounts.add(asserted.name, asserted.role, None, by=agent, subject=asserted.subject)
            except ConfigError:
                raise AccessDenied(
                    "your user name there cannot be used here, or is somebody else's; ask an administrator"
                ) from None
        if person.disabled:
            raise AccessDenied("your account here is disabled")
        if person.role is not asserted.role:
            record = AuditRecord(
                "role-changed",
                agent=agent_of(request, person.name),
                entities=(f"user:{person.name}",),
                detail={"role": asserted.role.value, "before": person.role.value},
            )
            users.set_role(person.name, asserted.role, within=lambda c: self._services.audit.append(c, record))
            return users.find(person.name) or person
        return person
