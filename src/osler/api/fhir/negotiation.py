"""Which forms a client sends and takes; there is one, JSON (R4 3.1.0.1.11)."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.preferences import preferences
from osler.api.outcome import FHIR_JSON

PRIVATE: Final[Mapping[str, str]] = {"cache-control": "no-store"}
"""Headers of every answer that holds something of a patient."""
JSON_PATCH: Final = "application/json-patch+json"
_JSON: Final = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json", "json"})
_ANY: Final = frozenset({"*/*", "application/*", "*"})
_MAX_PRETTY: Final = 2_000_000  # characters; nobody looks at more
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^"{}\[\],:\s]+')


def require_json(request: Request) -> None:
    """Let pass a request that takes FHIR R4 as JSON; ``_format`` goes before ``Accept``.

    Raises
    ------
    HTTPException
        406 when it takes only other forms, or another version of FHIR.
    """
    if not _takes_json(request):
        raise HTTPException(406, "answers come as application/fhir+json, FHIR 4.0 only")


def takes(request: Request, media_type: str) -> bool:
    """Tell whether a client names a media type of its own, and takes no FHIR as JSON."""
    header = request.headers.get("accept", "")
    return not _takes_json(request) and any(_taken(part, frozenset({media_type})) for part in header.split(","))


def _takes_json(request: Request) -> bool:
    wanted = request.query_params.get("_format") if "_format" in request.url.query else None
    if wanted:
        # a + that was not escaped in the URL arrives as a blank
        return _taken(wanted.strip().replace(" ", "+"), _JSON)
    header = request.headers.get("accept", "*/*") or "*/*"
    return any(_taken(part, _JSON | _ANY) for part in header.split(","))


def require_body_of(request: Request, *types: str) -> None:
    """Let pass a request whose body is of a media type that is taken.

    Parameters
    ----------
    request : Request
    *types : str
        Media types; none for FHIR as JSON.

    Raises
    ------
    HTTPException
        415 when it is another media type, version of FHIR, character set or coding, or none is named.
    """
    given = request.headers.get("content-type", "")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    charset = _parameters(given).get("charset", "utf-8").strip('"').lower()
    if not _taken(given, frozenset(types) or _JSON - {"json"}) or charset not in ("utf-8", "utf8", "us-ascii"):
        taken = ", ".join(types) or FHIR_JSON
        told = {"accept-patch": taken} if request.method == "PATCH" else {}  # RFC 5789 2.2
        raise HTTPException(415, f"the body must be {taken} in UTF-8", told)
    if coding not in ("", "identity"):
        raise HTTPException(415, "the body must not be encoded")


def strict(request: Request) -> bool:
    """Tell whether the client wants unknown parameters refused (``Prefer: handling=strict``)."""
    return preferences(request).strict


def answer(
    request: Request, text: str, *, status: int = 200, headers: Mapping[str, str] = PRIVATE, media_type: str = FHIR_JSON
) -> Response:
    """Return JSON text as it stands, or set out in lines when a client wants to look at it (``_pretty=true``)."""
    asked = "_pretty" in request.url.query and request.query_params.get("_pretty") == "true"
    if asked and len(text) <= _MAX_PRETTY:
        text = pretty(text)
    return Response(text, status, headers, media_type)


def pretty(text: str) -> str:
    """Set out compact JSON in lines; no value changes, decimals keep their text."""
    parts: list[str] = []
    depth, before = 0, ""
    for piece in _PIECE.findall(text):
        closes = piece in ("]", "}")
        depth -= closes
        if (closes and before not in ("[", "{")) or (not closes and before in ("[", "{", ",")):
            parts.append("\n" + "  " * depth)
        parts.append(": " if piece == ":" else piece)
        depth += piece in ("[", "{")
        before = piece
    return "".join(parts)


def _parameters(part: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (p.partition("=") for p in part.lower().split(";")[1:])}


def _taken(part: str, types: frozenset[str]) -> bool:
    name = part.partition(";")[0].strip().lower()
    if name not in types:
        return False
    given = _parameters(part)
    version = given.get("fhirversion", "4.0").strip('" ')
    return given.get("q", "1").strip("0.") != "" and version.startswith("4.0")
