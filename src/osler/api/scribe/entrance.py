"""Who may do what with an encounter: a program by its token, a person by the session of a page of ours."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from osler.api.guard import Caller, address_of, admit
from osler.api.people.pages import CSRF_FIELD
from osler.api.people.sessions import SignedIn
from osler.api.services import Services
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.domain.encounter import Documented
from osler.domain.reach import Part, Reach
from osler.errors import (
    AccessDenied,
    Malformed,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)
from osler.scribe.desk import ScribeDesk

CSRF_HEADER: Final = "x-csrf"
CONSOLE: Final = "console"
"""How the audit names our own pages where it names a client."""
NO_STORE: Final = {"cache-control": "no-store"}
MAX_JSON: Final = 1_000_000

Json = dict[str, Any]
Handler = Callable[[Caller, Request, Json], Response]


class Entrance:
    """Lets callers in.

    Parameters
    ----------
    services : Services
    desk : ScribeDesk
    """

    def __init__(self, services: Services, desk: ScribeDesk) -> None:
        self._services = services
        self._desk = desk
        self._scopes = parse_scopes("user/*.cruds")

    def admit(self, request: Request) -> Caller:
        """Return who calls.

        Raises
        ------
        Unauthenticated
            If there is neither a token nor a session that holds.
        FormForged
            If a session would change something without the proof that a page of ours asked for it.
        """
        people = self._services.people
        if "authorization" in request.headers or people is None:
            return admit(request, self._services)
        person = people.sessions.person(request)
        if person is None:
            raise Unauthenticated("an access token is needed, or a session of somebody who has signed in")
        if request.scope.get("method", "GET") not in ("GET", "HEAD"):
            people.pages.check_csrf(request, {CSRF_FIELD: request.headers.get(CSRF_HEADER, "")})
        return self.of_person(request, person)

    def of_person(self, request: Request, person: SignedIn) -> Caller:
        """Return a person who has signed in as a caller by our own pages."""
        grant = Grant(CONSOLE, self._scopes, ActingFor(person.name, person.role, person.fhir_user))
        people = self._services.people
        broken = people.glass.open_for(person.name, self._services.tokens.clock()) if people else frozenset[str]()
        return Caller(grant, address_of(request), broken)

    def open(self, caller: Caller, encounter_id: str, right: str) -> Documented:
        """Return an encounter within the caller's reach.

        Parameters
        ----------
        right : {"r", "c", "u"}
            To DocumentReferences, which notes are.

        Raises
        ------
        AccessDenied, NotFound
            If the caller may not, or must not know of it.
        """
        reach = reach_of(caller, right)
        held = self._desk.find(encounter_id)
        try:
            self._services.resources.read("Patient", held.subject.patient, reach)
        except NotFound:
            raise NotFound("there is no encounter of that id") from None
        return held

    def check_patient(self, caller: Caller, patient: str) -> None:
        """Let pass only for a patient of whom the caller may open an encounter."""
        self._services.resources.read("Patient", patient, reach_of(caller, "c"))

    def endpoint(self, handler: Handler, *, body: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """Make an endpoint: the caller is let in, the body is read, and the work is done on a thread."""

        async def answer(request: Request) -> Response:
            caller = await run_in_threadpool(self.admit, request)
            content = await read_json(request) if body else {}
            return await run_in_threadpool(handler, caller, request, content)

        return answer


def reach_of(caller: Caller, right: str) -> Reach:
    """Return the patients whose notes a caller has this right to, and whom it may know of.

    A scope that gives some notes of a patient alone (``?category=``) gives no encounter: its words are of all kinds.

    Raises
    ------
    AccessDenied
        If there are none.
    """
    patients = [part for part in caller.require("Patient", "r") if not part.tokens]
    notes = [part for part in caller.require("DocumentReference", right) if not part.tokens]
    both = {
        Part(one.patient or other.patient, restricted=one.restricted and other.restricted)
        for one in patients
        for other in notes
        if one.patient is None or other.patient in (None, one.patient)
    }
    if not both:
        raise AccessDenied("the scope of the access token does not allow this")
    return tuple(both)


async def read_json(request: Request) -> Json:
    """Read a body of JSON; none is an empty object.

    Raises
    ------
    UnsupportedMediaType, TooLarge, Malformed
    """
    content = await read_body(request, MAX_JSON)
    if not content:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", ""):
        raise UnsupportedMediaType("the body must be application/json")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(document, dict):
        raise Malformed("the body must be a JSON object")
    return document


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most so many bytes."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise HTTPException(413, "the body is larger than the settings allow")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise TooLarge("the body is larger than the settings allow")
    return bytes(content)


def revision_of(request: Request) -> int:
    """Return the revision that a change is about: the ETag that the note came with.

    Raises
    ------
    PreconditionFailed
        If ``If-Match`` is missing or is no ETag of ours.
    """
    tag = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    if not tag.isdecimal() or len(tag) > 9:
        raise PreconditionFailed(
            "send the revision that the change is about in If-Match, as the ETag of the note has it"
        )
    return int(tag)


def answer(content: Json, status: int = 200, *, revision: int | None = None, location: str = "") -> JSONResponse:
    """Return JSON that nobody keeps on the way."""
    headers = dict(NO_STORE)
    if revision is not None:
        headers["etag"] = f'W/"{revision}"'
    if location:
        headers["location"] = location
    return JSONResponse(content, status, headers)
