"""A person of the identity provider signs in there again, before something that a passer-by must not do.

The proof of it is sealed in a cookie: of whom, for what, and for how long. It is for one thing alone, which its maker
names so that it can be done once.

References
----------
OpenID Connect Core 1.0, 3.1.2.1 (``prompt``, ``max_age``) and 2 (``auth_time``)
"""

import base64
import json
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from osler.api.guard import write_down
from osler.api.people.door import agent_of
from osler.api.people.journeys import Journey, Journeys
from osler.api.people.service import People
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, IntegrityError, OslerError, Unauthenticated

FAILED: Final = "not-signed-in-again"
"""Fragment of the page to which a person comes back without a proof."""
DONE: Final = "signed-in-again"
"""Fragment of the page to which a person comes back with one."""
_PROVEN_S: Final = 120
_AAD: Final = b"signed-in-again"


class Again:
    """Asks for it, and knows the proof."""

    def __init__(self, services: Services, people: People, journeys: Journeys) -> None:
        self._services = services
        self._people = people
        self._journeys = journeys
        self._cookie = f"{people.sessions.cookie}-again"

    def begin(self, name: str, about: str, return_to: str) -> Response:
        """Answer with the address at which a person signs in again, to do one thing: ``{"location"}``."""
        journey, url = self._journeys.begin(return_to, again=True, about=json.dumps([name, about]))
        return self._journeys.keep(JSONResponse({"location": url}, headers={"cache-control": "no-store"}), journey)

    def back(self, request: Request, journey: Journey) -> Response:
        """Answer who comes back: on to where they were, with the proof or without."""
        (name, about), person = json.loads(journey.about), self._people.sessions.person(request)
        if person is None or person.name != name:
            return self._journeys.over(self._people.pages.redirect(f"{journey.return_to}#{FAILED}"))
        agent = agent_of(request, name)
        try:
            asserted, account = self._journeys.asserted(request, journey), self._people.users.find(name)
            if account is None or account.subject != asserted.subject or asserted.role is not account.role:
                raise Unauthenticated("somebody else signed in, or with another role")
        except OslerError:
            failed = AuditRecord("sign-in-failed", agent=agent, outcome=8, detail={"what": "again"})
            write_down(self._services.audit, failed)
            return self._journeys.over(self._people.pages.redirect(f"{journey.return_to}#{FAILED}"))
        write_down(self._services.audit, AuditRecord("signed-in-again", agent=agent, detail={"methods": "ext"}))
        response = self._people.pages.redirect(f"{journey.return_to}#{DONE}")
        proof = json.dumps([name, about, self._people.clock() + _PROVEN_S])
        value = base64.urlsafe_b64encode(self._people.sealer.seal(proof.encode(), _AAD)).decode()
        secure = self._people.sessions.secure
        response.set_cookie(
            self._cookie, value, max_age=_PROVEN_S, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return self._journeys.over(response)

    def require(self, request: Request, name: str, about: str) -> None:
        """Let pass who has just signed in again, for this very thing.

        Raises
        ------
        AccessDenied
            If they have not.
        """
        try:
            sealed = base64.urlsafe_b64decode(request.cookies.get(self._cookie, "").encode("ascii"))
            who, what, until = json.loads(self._people.sealer.open(sealed, _AAD))
        except (ValueError, TypeError, IntegrityError):
            raise AccessDenied(f"sign in again at {self._people.external_name} first") from None
        if who != name or what != about or self._people.clock() > until:
            raise AccessDenied("that was too long ago, or for something else: sign in again once more")

    def used(self, response: Response) -> Response:
        """Take the proof back."""
        secure = self._people.sessions.secure
        response.delete_cookie(self._cookie, path="/", secure=secure, httponly=True, samesite="strict")
        return response
