"""What a client would like: ``Prefer`` (RFC 7240), as FHIR uses it."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

_RETURN: Final = {"minimal": "minimal", "representation": "representation", "operationoutcome": "OperationOutcome"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences of one request; what is not known is left out (RFC 7240 2).

    Parameters
    ----------
    returning : {"minimal", "representation", "OperationOutcome"}
        What the answer to a change holds (R4 3.1.0.1.9).
    strict : bool
        Whether search parameters that are not known are refused (R4 3.1.1.2).
    asynchronous : bool
        Whether the client asks for an answer later (``respond-async``).
    """

    returning: str = "representation"
    strict: bool = False
    asynchronous: bool = False


def preferences(request: Request) -> Preferences:
    """Read the preferences of a request; of two that are the same, the first counts (RFC 7240 2)."""
    given: dict[str, str] = {}
    for part in ",".join(request.headers.getlist("prefer")).replace(";", ",").split(","):
        name, _, value = part.partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    return Preferences(
        _RETURN.get(given.get("return", ""), "representation"),
        given.get("handling") == "strict",
        "respond-async" in given,
    )
