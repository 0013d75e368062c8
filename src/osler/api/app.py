"""The HTTP side in one table of routes."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.browsers import Compression, CrossOrigin
from osler.api.cds_hooks.endpoints import routes as cds_routes
from osler.api.denials import Denials
from osler.api.edge import Edge
from osler.api.fhir.routes import routes as fhir_routes
from osler.api.guard import denied
from osler.api.health import Health
from osler.api.metrics import MetricsEndpoint
from osler.api.outcome import outcome_of_error, outcome_of_status
from osler.api.people.routes import routes as people_routes
from osler.api.scribe.endpoints import routes as scribe_routes
from osler.api.scribe.pages import routes as scribe_page_routes
from osler.api.scribe.stream import routes as stream_routes
from osler.api.services import Services
from osler.api.smart.routes import routes as smart_routes
from osler.api.spoke import routes as spoke_routes
from osler.api.stow import Stow
from osler.errors import AccessDenied, OslerError

__all__ = ["Services", "create_app"]


def create_app(services: Services) -> Starlette:
    """Build the ASGI application; ``state.denials`` may hold refusals that are not on record yet, at the end."""
    denials = Denials(services.audit)
    health, stow = Health(services.checks), Stow(services)
    app = Starlette(
        routes=[
            *smart_routes(services),
            *fhir_routes(services),
            Route("/dicom-web/studies", stow.store, methods=["POST"]),
            Route("/dicom-web/studies/{study_instance_uid}", stow.store, methods=["POST"]),
            *(spoke_routes(services, services.spokes) if services.spokes else ()),
            *people_routes(services),
            *(scribe_routes(services, services.scribe) if services.scribe else ()),
            *(stream_routes(services, services.scribe) if services.scribe else ()),
            *(scribe_page_routes(services, services.scribe) if services.scribe else ()),
            *cds_routes(services),
            Route("/health/live", health.live),
            Route("/health/ready", health.ready),
            Route("/metrics", MetricsEndpoint(services).__call__),
        ],
        middleware=[
            Middleware(Edge, metrics=services.metrics),
            Middleware(CrossOrigin, services.cors_origins, services.clients.origins),
            Middleware(Compression),
        ],
        exception_handlers={OslerError: _on_error(services, denials), HTTPException: _on_status},
    )
    app.state.denials = denials
    app.router.redirect_slashes = False  # a redirect would be built from the Host header
    return app


def _on_error(services: Services, denials: Denials) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, OslerError):
            raise error
        services.metrics.refused("http", type(error).__name__)
        if isinstance(error, AccessDenied):
            try:
                await denials.write(denied(request, type(error).__name__))
            except OslerError as unwritten:
                return outcome_of_error(unwritten, request)
        return outcome_of_error(error, request)

    return answer


def _on_status(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return outcome_of_status(error.status_code, error.detail, error.headers)
