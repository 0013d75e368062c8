"""Refusals and answers in the form of OAuth 2."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from osler.api.denials import denials_of
from osler.api.guard import denied
from osler.api.services import Services
from osler.errors import AccessDenied

WAIT_S: Final = 60
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class OAuthRefused(AccessDenied):
    """What RFC 6749 5.2 calls an error response.

    Parameters
    ----------
    error : str
        One of the standard's codes.
    description : str
        For the developer of the client; quotes nothing.
    status : int
    """

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


def refuse(services: Services, request: Request, refused: OAuthRefused) -> Response:
    """Answer with a refusal, which is on record first."""
    services.metrics.refused("oauth", refused.error)
    denials_of(request.app, services.audit).write_now(denied(request, refused.error))
    headers: dict[str, str] = {}
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="osler"'
    elif refused.status == 429:
        headers["retry-after"] = str(WAIT_S)
    elif refused.status == 408:
        headers["connection"] = "close"
    return answer({"error": refused.error, "error_description": str(refused)}, refused.status, headers)


def answer(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON that nobody keeps."""
    return Response(json.dumps(document), status, _NO_STORE | dict(headers or {}), "application/json")
