"""In which form a resource that was read is given: whole, in part, or a Binary as what it holds.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.5.8 and 3.1.1.5.9 (_summary, _elements), 2.43.4 (Binary)
"""

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.negotiation import answer, require_json, takes
from osler.standards import fhir
from osler.standards.fhir_subset import subset
from osler.storage.stored import Stored


def rendered(request: Request, found: Stored, headers: Mapping[str, str]) -> Response:
    """Return the answer to a read.

    A Binary is given as it is to who takes its own media type and no FHIR; as an attachment, so that no browser shows
    it as a page of ours.

    Raises
    ------
    HTTPException
        406 when the client takes neither.
    """
    if found.type == "Binary":
        binary = fhir.loads(found.text)
        media_type = str(binary["contentType"]).partition(";")[0].strip()
        if takes(request, media_type):
            content = base64.b64decode(str(binary.get("data", "")))
            # the media type alone: what a client wrote behind it has no place in a header
            return Response(content, 200, {**headers, "content-disposition": "attachment"}, media_type)
        require_json(request)
    return answer(request, _part(request, found.text), headers=headers)


def _part(request: Request, text: str) -> str:
    """Return the part that ``_summary`` or ``_elements`` asks for; mostly the whole, as it stands."""
    query = request.url.query
    if "_summary=" not in query and "_elements=" not in query:
        return text
    elements = [name.strip() for name in request.query_params.get("_elements", "").split(",") if name.strip()]
    return fhir.dumps(subset(fhir.loads(text), request.query_params.get("_summary", ""), elements))


def link(relation: str, address: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Write a link of a Bundle: an address with its parameters."""
    return {"relation": relation, "url": f"{address}?{urlencode(pairs)}" if pairs else address}
