"""Signing over HTTP: only a person signs, and shows once more who they are.

::

    POST .../sign           with the password again; or, for people of the identity provider, after the next
    POST .../sign/again     where they sign in there again, for this note as it is: {"location"}
"""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from osler.api.guard import Caller
from osler.api.people.again import Again
from osler.api.people.confirm import Confirm
from osler.api.people.journeys import Journeys
from osler.api.people.roles import CARING
from osler.api.people.service import People
from osler.api.scribe.entrance import CONSOLE, Entrance, Json, answer, revision_of
from osler.api.scribe.shapes import PATH
from osler.api.services import Services
from osler.api.smart.tokens import ActingFor
from osler.errors import AccessDenied, Malformed
from osler.scribe.desk import ScribeDesk

REVIEW_PATH: Final = "/scribe/review/"


class Signatures:
    """Endpoints of signatures."""

    def __init__(self, services: Services, entrance: Entrance, desk: ScribeDesk) -> None:
        self._services = services
        self._entrance = entrance
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        path, endpoint = f"{PATH}/{{id}}/sign", self._entrance.endpoint
        return [
            Route(path, endpoint(self.sign, body=True), methods=["POST"]),
            Route(path + "/again", endpoint(self.again), methods=["POST"]),
        ]

    def sign(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``POST .../sign``."""
        encounter_id, revision = self._asked(caller, request)
        person, people = self._signer(caller)
        again = self._provider(people, person.name)
        if again is not None:
            again.require(request, person.name, self._about(encounter_id, revision))
        else:
            self._confirm(request, people, person.name, body.get("password"))
        signed = self._desk.signing.sign(caller.agent, encounter_id, revision, practitioner=person.fhir_user)
        response = answer({key: value for key, value in signed.items() if key != "note"})
        return again.used(response) if again else response

    def again(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../sign/again``."""
        encounter_id, revision = self._asked(caller, request)
        person, people = self._signer(caller)
        provider = self._provider(people, person.name)
        if provider is None or caller.grant.client_id != CONSOLE:
            raise AccessDenied("people of an identity provider sign on the hub's own page")
        return provider.begin(person.name, self._about(encounter_id, revision), REVIEW_PATH + encounter_id)

    def _asked(self, caller: Caller, request: Request) -> tuple[str, int]:
        return self._entrance.open(caller, request.path_params["id"], "u").id, revision_of(request)

    def _about(self, encounter_id: str, revision: int) -> str:
        """Name this very signature; there is one of each revision."""
        return f"sign {encounter_id} {revision} {self._desk.signing.content(encounter_id, revision)}"

    def _signer(self, caller: Caller) -> tuple[ActingFor, People]:
        person, people = caller.grant.person, self._services.people
        if person is None or people is None or person.role not in CARING:
            raise AccessDenied("only a person who cares for patients signs a note")
        return person, people

    def _provider(self, people: People, name: str) -> Again | None:
        """Return what asks the identity provider about a person; None for an account of our own."""
        account = people.users.find(name)
        if people.provider is None or account is None or account.subject is None:
            return None
        return Again(self._services, people, Journeys(people, people.provider))

    def _confirm(self, request: Request, people: People, name: str, password: object) -> None:
        if not isinstance(password, str):
            raise Malformed("password: who signs gives the password again")
        wrong = Confirm(self._services, people).password(request, name, password)
        if wrong:
            raise AccessDenied(wrong.rstrip(".").lower())
