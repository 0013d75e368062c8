"""The HTTP side in one table of routes."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.edge import Edge
from osler.api.fhir.interactions import Interactions
from osler.api.guard import denied, write_down
from osler.api.health import Health
from osler.api.metrics import MetricsEndpoint
from osler.api.oauth import TOKEN_PATH, TokenEndpoint
from osler.api.outcome import outcome_of_error, outcome_of_status
from osler.api.services import Services
from osler.api.stow import Stow
from osler.errors import AccessDenied, OslerError

__all__ = ["Services", "create_app"]


def create_app(services: Services) -> Starlette:
    """Build the ASGI application."""
    fhir, health, stow = Interactions(services), Health(services.checks), Stow(services)
    app = Starlette(
        routes=[
            Route("/fhir/R4/metadata", fhir.metadata),
            Route("/fhir/R4/.well-known/smart-configuration", fhir.smart),
            Route("/fhir/R4/{type}/_search", fhir.search_by_post, methods=["POST"]),
            Route("/fhir/R4/{type}/{id}", fhir.read),
            Route("/fhir/R4/{type}", fhir.search),
            Route(TOKEN_PATH, TokenEndpoint(services).__call__, methods=["POST"]),
            Route("/dicom-web/studies", stow.store, methods=["POST"]),
            Route("/dicom-web/studies/{study_instance_uid}", stow.store, methods=["POST"]),
            Route("/health/live", health.live),
            Route("/health/ready", health.ready),
            Route("/metrics", MetricsEndpoint(services).__call__),
        ],
        middleware=[Middleware(Edge, metrics=services.metrics)],
        exception_handlers={OslerError: _on_error(services), HTTPException: _on_status},
    )
    app.router.redirect_slashes = False  # a redirect would be built from the Host header
    return app


def _on_error(services: Services) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, OslerError):
            raise error
        services.metrics.refused("http", type(error).__name__)
        if isinstance(error, AccessDenied):
            try:
                write_down(services.audit, denied(request, type(error).__name__))
            except OslerError as unwritten:
                return outcome_of_error(unwritten, request)
        return outcome_of_error(error, request)

    return answer


def _on_status(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return outcome_of_status(error.status_code, error.detail, error.headers)
