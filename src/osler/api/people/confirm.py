"""A person who is signed in gives the password again, before something that a passer-by must not do."""

from starlette.requests import Request

from osler.api.guard import address_of, write_down
from osler.api.people.door import agent_of
from osler.api.people.service import People
from osler.api.services import Services
from osler.audit import AuditRecord


class Confirm:
    """Asks once more, with the same waits as the sign-in."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people

    def password(self, request: Request, name: str, password: str) -> str:
        """Return what is wrong, in words for the person; empty when it is their password."""
        browser, address, waits = self._people.browsers.known(request, name), address_of(request), self._people.waits
        if self._services.database.write(lambda c: waits.begin(c, name, address, known_browser=browser)):
            return "There were too many attempts. Please try again later."
        if self._people.users.verify(name, password) is None:
            record = AuditRecord(
                "sign-in-failed", agent=agent_of(request, name), outcome=8, detail={"what": "password"}
            )
            write_down(self._services.audit, record)
            return "That is not your password."
        self._services.database.write(lambda c: waits.succeeded(c, name, address, known_browser=browser))
        return ""
