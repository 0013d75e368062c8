"""What every page shares: the form is read and proven, an error becomes a page, and a refusal goes on record."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.denials import denials_of
from osler.api.forms import read_form
from osler.api.guard import address_of, denied
from osler.api.people.pages import FormForged
from osler.api.people.service import People
from osler.api.services import Services
from osler.audit import Agent
from osler.errors import AccessDenied, Malformed, OslerError

Fields = Mapping[str, str]
FormHandler = Callable[[Request, Fields], Response]

_HEADINGS: Final[Mapping[int, str]] = {
    403: "Not for you",
    404: "Not found",
    503: "Not now",
}


class Door:
    """Makes endpoints of functions that answer a request with a page.

    Parameters
    ----------
    services : Services
    people : People
    """

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people

    def get(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Return an endpoint for GET."""

        def endpoint(request: Request) -> Response:
            return self._guarded(request, lambda: handler(request))

        return endpoint

    def post(
        self, handler: FormHandler, *, stale: FormHandler | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint for a form of one of our pages; ``stale`` answers one that has grown old."""

        async def endpoint(request: Request) -> Response:
            try:
                fields = dict(await read_form(request))
            except HTTPException as error:
                return self._message(request, error.status_code, error.detail)
            except Malformed as error:
                return self._message(request, error.http_status, str(error))
            return await run_in_threadpool(
                self._guarded, request, lambda: self._proven(request, fields, handler, stale)
            )

        return endpoint

    def _proven(self, request: Request, fields: Fields, handler: FormHandler, stale: FormHandler | None) -> Response:
        try:
            self._people.pages.check_csrf(request, fields)
        except FormForged:
            if stale is None:
                raise
            self._refused(request, FormForged.__name__)
            return stale(request, fields)
        return handler(request, fields)

    def _guarded(self, request: Request, answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except OslerError as error:
            self._services.metrics.refused("pages", type(error).__name__)
            if isinstance(error, AccessDenied):
                try:
                    self._refused(request, type(error).__name__)
                except OslerError as unwritten:
                    error = unwritten
            words = "something is wrong on this side" if error.http_status == 500 else str(error)
            heading = "That form is out of date" if isinstance(error, FormForged) else None
            return self._message(request, error.http_status, words, heading)

    def _refused(self, request: Request, reason: str) -> None:
        denials_of(request.app, self._services.audit).write_now(denied(request, reason))

    def _message(self, request: Request, status: int, words: str, heading: str | None = None) -> Response:
        heading = heading or _HEADINGS.get(status, "That did not work")
        return self._people.pages.render("message", request, status=status, heading=heading, words=sentence(words))


def sentence(words: str) -> str:
    """Write an error's words as a sentence for a person."""
    return f"{words[:1].upper()}{words[1:]}."


def agent_of(request: Request, name: str) -> Agent:
    """Return a person as the audit names them."""
    return Agent(name, "person", address_of(request))
