"""``/spoke``: the door for edges. What comes in is de-identified; what goes out is under the edge's own pseudonyms.

::

    PUT /spoke/studies/{study}                   the manifest; the answer names what is missing
    PUT /spoke/studies/{study}/instances/{sop}   one Part 10 file
    GET /spoke/studies/{study}                   what the models said
    GET /spoke/studies/{study}/heatmaps/{ref}    a PNG file

Each may be done again without another effect: an edge that was cut off begins where it stopped.
"""

from collections.abc import Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from osler.api.guard import admit
from osler.api.services import Services, SpokeDesk
from osler.api.smart.scopes import SPOKE
from osler.audit import Agent
from osler.domain.manifest import loads
from osler.errors import AccessDenied, TooLarge

_NO_STORE: Final = {"cache-control": "no-store"}
_MAX_MANIFEST: Final = 32_000_000


class SpokeDoor:
    """Endpoints for clients whose scope is ``osler/spoke``; the client is the site."""

    def __init__(self, services: Services, desk: SpokeDesk) -> None:
        self._services = services
        self._desk = desk

    async def offer(self, request: Request) -> Response:
        """Answer ``PUT /spoke/studies/{study}``."""
        agent = await self._site(request)
        manifest = loads(await _body(request, _MAX_MANIFEST))
        missing = await run_in_threadpool(self._desk.offer, agent, request.path_params["study"], manifest)
        return JSONResponse({"missing": missing}, headers=_NO_STORE)

    async def store(self, request: Request) -> Response:
        """Answer ``PUT /spoke/studies/{study}/instances/{sop}``; the answer comes when the instance is durable."""
        agent = await self._site(request)
        content = await _body(request, self._services.max_body_bytes)
        names = request.path_params
        await run_in_threadpool(self._desk.store, agent, names["study"], names["sop"], content)
        return Response(status_code=204, headers=_NO_STORE)

    async def results(self, request: Request) -> Response:
        """Answer ``GET /spoke/studies/{study}``."""
        agent = await self._site(request)
        found = await run_in_threadpool(self._desk.results, agent, request.path_params["study"])
        return JSONResponse(found, headers=_NO_STORE)

    async def heatmap(self, request: Request) -> Response:
        """Answer ``GET /spoke/studies/{study}/heatmaps/{ref}``."""
        agent = await self._site(request)
        names = request.path_params
        content = await run_in_threadpool(self._desk.heatmap, agent, names["study"], names["ref"])
        return Response(content, headers=_NO_STORE, media_type="image/png")

    async def _site(self, request: Request) -> Agent:
        return await run_in_threadpool(self._admit, request)

    def _admit(self, request: Request) -> Agent:
        caller = admit(request, self._services)
        if caller.grant.person is not None or SPOKE not in {scope.text for scope in caller.grant.scopes}:
            raise AccessDenied("the scope of the access token does not allow this")
        return caller.agent


def routes(services: Services, desk: SpokeDesk) -> list[Route]:
    """Return the routes of the door."""
    door = SpokeDoor(services, desk)
    put: dict[str, Callable[[Request], Any]] = {"": door.offer, "/instances/{sop}": door.store}
    get: dict[str, Callable[[Request], Any]] = {"": door.results, "/heatmaps/{ref}": door.heatmap}
    base = "/spoke/studies/{study}"
    return [
        *(Route(base + path, endpoint, methods=["PUT"]) for path, endpoint in put.items()),
        *(Route(base + path, endpoint, methods=["GET"]) for path, endpoint in get.items()),
    ]


async def _body(request: Request, most: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise HTTPException(413, "the body is larger than the settings allow")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise TooLarge("the body is larger than the settings allow")
    return bytes(content)
