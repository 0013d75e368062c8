"""Errors as answers: one place that turns them into OperationOutcomes."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from osler.errors import AccessDenied, InvalidResource, OslerError, Transient, Unauthenticated
from osler.standards import fhir

FHIR_JSON: Final = "application/fhir+json"
_ISSUE_CODES: Final[Mapping[int, str]] = {
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
}


def outcome_of_status(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the OperationOutcome of a status that the HTTP side itself decides."""
    code = _ISSUE_CODES.get(status, "exception" if status >= 500 else "invalid")
    return _outcome(status, code, words, headers)


def outcome_of_error(error: OslerError, request: Request) -> Response:
    """Return the OperationOutcome of an error of ours, with the headers that go with it."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        presented = "authorization" in request.headers
        headers["www-authenticate"] = 'Bearer realm="osler"' + (', error="invalid_token"' if presented else "")
    elif isinstance(error, AccessDenied):
        headers["www-authenticate"] = 'Bearer realm="osler", error="insufficient_scope"'
    elif isinstance(error, Transient):
        headers["retry-after"] = "5"
    document = fhir.operation_outcome(issues_of(error))
    return Response(fhir.dumps(document), error.http_status, headers, FHIR_JSON)


def issues_of(error: OslerError) -> list[fhir.Issue]:
    """Return what an OperationOutcome says of an error; of a fault on this side, nothing but that."""
    if isinstance(error, InvalidResource) and error.issues:
        return list(error.issues)
    words = "something is wrong on this side" if error.http_status == 500 else str(error)
    return [fhir.Issue(error.issue_code, "", words)]


def _outcome(status: int, code: str, words: str, headers: Mapping[str, str] | None) -> Response:
    document = fhir.operation_outcome([fhir.Issue(code, "", words)])
    return Response(fhir.dumps(document), status, headers, FHIR_JSON)
