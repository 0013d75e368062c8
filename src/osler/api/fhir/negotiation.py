"""Which form of answer a client takes; there is one, JSON (R4 3.1.0.1.11)."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

_JSON: Final = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json", "json"})
_ANY: Final = frozenset({"*/*", "application/*", "*"})


def require_json(request: Request) -> None:
    """Let pass a request that takes FHIR R4 as JSON; ``_format`` goes before ``Accept``.

    Raises
    ------
    HTTPException
        406 when it takes only other forms, or another version of FHIR.
    """
    wanted = request.query_params.get("_format")
    if wanted:
        # a + that was not escaped in the URL arrives as a blank
        accepted = _taken(wanted.strip().replace(" ", "+"), _JSON)
    else:
        header = request.headers.get("accept", "*/*") or "*/*"
        accepted = any(_taken(part, _JSON | _ANY) for part in header.split(","))
    if not accepted:
        raise HTTPException(406, "answers come as application/fhir+json, FHIR 4.0 only")


def strict(request: Request) -> bool:
    """Tell whether the client wants unknown parameters refused (``Prefer: handling=strict``)."""
    preferences = ",".join(request.headers.getlist("prefer")).replace(";", ",").split(",")
    return "handling=strict" in (p.strip().replace('"', "").lower() for p in preferences)


def _taken(part: str, types: frozenset[str]) -> bool:
    name, *parameters = (p.strip().lower() for p in part.split(";"))
    given = dict(p.partition("=")[::2] for p in parameters)
    quality = given.get("q", "1").strip()
    version = given.get("fhirversion", "4.0").strip('" ')
    return name in types and quality.strip("0.") != "" and version.startswith("4.0")
