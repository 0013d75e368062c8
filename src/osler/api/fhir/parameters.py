"""Parameters of an operation, from the URL and from a Parameters resource.

References
----------
HL7 FHIR R4 4.0.1, 3.2.0.3 (executing an operation), Parameters
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request

from osler.api.fhir.body import read_body
from osler.api.fhir.negotiation import require_body_of
from osler.api.forms import Pairs, parse_pairs
from osler.errors import InvalidResource
from osler.standards import fhir
from osler.standards.fhir import Resource

_MAX_BYTES: Final = 1_000_000
_MAX_PARAMETERS: Final = 10_000


async def read_parameters(request: Request) -> Pairs:
    """Return the parameters of the URL, and those of the body of a POST, as text.

    Raises
    ------
    HTTPException
        413 or 415 when the body is too large or of another media type.
    InvalidResource
        If the body is no Parameters resource, or has a parameter that is neither a simple value nor a reference.
    """
    pairs = parse_pairs(request.url.query)
    if request.method != "POST":
        return pairs
    content = await read_body(request, limit=_MAX_BYTES)
    if not content:
        return pairs
    require_body_of(request)
    return [*pairs, *values_of(fhir.loads(content))]


def values_of(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield names and values of a Parameters resource.

    Raises
    ------
    InvalidResource
        If it is none, or has a parameter that is neither a simple value nor a reference.
    """
    for parameter in parameters_of(resource):
        found = [value for name, value in parameter.items() if name.startswith("value")]
        text = _text(found[0]) if len(found) == 1 else None
        if text is None:
            raise InvalidResource("a parameter is neither a simple value nor a reference")
        yield parameter["name"], text


def parameters_of(resource: Resource) -> list[dict[str, Any]]:
    """Return the parameters of a Parameters resource.

    Raises
    ------
    InvalidResource
        If it is none.
    """
    found = resource.get("parameter", [])
    shaped = isinstance(found, list) and all(isinstance(p, dict) and isinstance(p.get("name"), str) for p in found)
    if resource.get("resourceType") != "Parameters" or not shaped or len(found) > _MAX_PARAMETERS:
        raise InvalidResource("the body is no Parameters resource")
    return list(found)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        value = value.get("reference")
    return str(value) if isinstance(value, str | int | Decimal) else None
