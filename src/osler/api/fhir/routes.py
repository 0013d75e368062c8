"""The routes of the FHIR side."""

from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.fhir.bundle import Bundles
from osler.api.fhir.capability import metadata
from osler.api.fhir.changes import Changes
from osler.api.fhir.operations import routes as operation_routes
from osler.api.fhir.reading import Reading
from osler.api.fhir.search import Search
from osler.api.services import Services

BASE = "/fhir/R4"

Endpoint = Callable[[Request], Response] | Callable[[Request], Coroutine[Any, Any, Response]]


def routes(services: Services) -> list[Route]:
    """Return all routes under the FHIR base, the specific ones first."""
    reading, search, changes = Reading(services), Search(services), Changes(services)
    bundles = Bundles(services, changes, reading, search)
    writing: dict[str, Endpoint] = {"PUT": changes.change, "PATCH": changes.change, "DELETE": changes.change}
    return [
        Route(BASE, bundles.process, methods=["POST"]),
        Route(f"{BASE}/", bundles.process, methods=["POST"]),  # how clients that join paths write the base
        Route(f"{BASE}/metadata", metadata(services)),
        *operation_routes(services, BASE),
        Route(f"{BASE}/{{type}}/_search", search.by_post, methods=["POST"]),
        Route(f"{BASE}/{{type}}/_history", reading.history),
        Route(f"{BASE}/{{type}}/{{id}}/_history", reading.history),
        Route(f"{BASE}/{{type}}/{{id}}/_history/{{version}}", reading.read),
        _route(f"{BASE}/{{type}}/{{id}}", {"GET": reading.read, **writing}),
        _route(f"{BASE}/{{type}}", {"GET": search.by_get, "POST": changes.change, **writing}),
    ]


def _route(path: str, by_method: dict[str, Endpoint]) -> Route:
    """Return one route for all methods of a path, so that a refusal names them all (``Allow``)."""

    async def endpoint(request: Request) -> Response:
        handler: Any = by_method["GET" if request.method == "HEAD" else request.method]
        if iscoroutinefunction(handler):
            answered: Response = await handler(request)
            return answered
        return await run_in_threadpool(handler, request)

    return Route(path, endpoint, methods=list(by_method))
