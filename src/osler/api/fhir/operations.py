"""The routes of the operations."""

from starlette.routing import Route

from osler.api.fhir.everything import Everything
from osler.api.fhir.export import Exporting
from osler.api.fhir.validate import Validating
from osler.api.services import Services


def routes(services: Services, base: str) -> list[Route]:
    """Return the routes of all operations under a path; they stand before those of the interactions."""
    validating, everything = Validating(services), Everything(services)
    return [
        Route(f"{base}/Patient/{{id}}/$everything", everything.everything, methods=["GET", "POST"]),
        *_export_routes(services, base),
        Route(f"{base}/{{type}}/$validate", validating.validate, methods=["POST"]),
        Route(f"{base}/{{type}}/{{id}}/$validate", validating.validate, methods=["GET", "POST"]),
    ]


def _export_routes(services: Services, base: str) -> list[Route]:
    if services.exports is None:
        return []
    exporting = Exporting(services, services.exports)
    places = ("$export", "Patient/$export", "Group/{id}/$export")
    return [
        *(Route(f"{base}/{place}", exporting.start, methods=["GET", "POST"]) for place in places),
        Route(f"{base}/$export/{{id}}", exporting.status, methods=["GET"]),
        Route(f"{base}/$export/{{id}}", exporting.cancel, methods=["DELETE"]),
        Route(f"{base}/$export/{{id}}/{{name}}", exporting.file, methods=["GET"]),
    ]
