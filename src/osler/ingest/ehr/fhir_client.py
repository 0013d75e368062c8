"""Reading and searching a FHIR server: with a token, page by page, and never beyond that server.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0 RESTful API, 3.1.1 Search, 2.43 Binary; RFC 6750
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urljoin

from osler.errors import (
    AccessDenied,
    Gone,
    InputRejected,
    Malformed,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)
from osler.ingest.ehr.access import Access
from osler.ingest.ehr.hosts import origin_of
from osler.ingest.ehr.wire import Answer, Request, Wire
from osler.standards.fhir import Resource, loads

FHIR_JSON: Final = "application/fhir+json"
_FHIR_TYPES: Final = frozenset({FHIR_JSON, "application/json", "application/json+fhir"})
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one patient's record is taken.

    Parameters
    ----------
    page : int
        Resources asked for at a time (``_count``).
    pages : int
        Pages of one search.
    resources : int
    received_bytes : int
    """

    page: int = 100
    pages: int = 1000
    resources: int = 20_000
    received_bytes: int = 256_000_000


@dataclass(slots=True, repr=False)
class Received:
    """What came of one patient, as it came. Identified."""

    pages: list[tuple[str, str, float, bytes]] = field(default_factory=list)
    length: int = 0

    def keep(self, url: str, content_type: str, at: float, content: bytes) -> None:
        """Take note of an answer."""
        self.pages.append((url, content_type, at, content))
        self.length += len(content)

    def sealed_form(self) -> bytes:
        """Return all of it as one document: a line of JSON for each answer, with where it came from and when."""
        return b"".join(
            json.dumps({"url": url, "content_type": kind, "received_at": round(at, 3), **_written(content)}).encode()
            + b"\n"
            for url, kind, at, content in self.pages
        )


class FhirClient:
    """A FHIR server.

    Parameters
    ----------
    wire : Wire
    access : Access
    base : str
        Base URL without a slash at the end.
    bounds : Bounds
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        wire: Wire,
        access: Access,
        base: str,
        *,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base = base
        self.bounds = bounds or Bounds()
        self.access = access
        self._wire = wire
        self._origin = origin_of(base)
        self._clock = clock

    def read(self, resource_type: str, logical_id: str, into: Received) -> Resource:
        """Read a resource.

        Raises
        ------
        NotFound
            If there is none of that id.
        Malformed
            If the answer is another one.
        OslerError
            As :meth:`get`.
        """
        if not _ID.fullmatch(logical_id):
            raise NotFound(f"there is no {resource_type} of that id at the EHR")
        found = _resource(self.get(f"{self.base}/{resource_type}/{logical_id}", into))
        if found.get("resourceType") != resource_type or found.get("id") != logical_id:
            raise Malformed(f"the EHR gives another resource than the {resource_type} that was asked for")
        return found

    def search(self, resource_type: str, parameters: Mapping[str, str], into: Received) -> Iterator[Resource]:
        """Yield what matches, page by page; what is included or an outcome is not among it.

        Raises
        ------
        Malformed
            If a page is no searchset, brings another type, or leads to another server or in a circle.
        TooLarge
            If there are more pages than :class:`Bounds` allow.
        OslerError
            As :meth:`get`.
        """
        query = urlencode({**parameters, "_count": str(self.bounds.page)})
        url: str | None = f"{self.base}/{resource_type}?{query}"
        seen: set[str] = set()
        while url is not None:
            if url in seen:
                raise Malformed("the EHR's pages lead in a circle")
            if len(seen) >= self.bounds.pages:
                raise TooLarge(f"the EHR gives more than {self.bounds.pages} pages of {resource_type}")
            seen.add(url)
            page = _resource(self.get(url, into))
            if page.get("resourceType") != "Bundle" or page.get("type") != "searchset":
                raise Malformed("the EHR answers a search with something else than a searchset")
            yield from _matches(page, resource_type)
            url = self._next(page, url)

    def get(self, url: str, into: Received, *, accept: str = FHIR_JSON) -> Answer:
        """Get what is at an address of this server; once more with a new token when the old one is refused.

        Raises
        ------
        AccessDenied
            If it is refused, or the address is of another server: no token goes there.
        NotFound
            If it is not there.
        InputRejected
            If the server refuses the request in another way.
        TooLarge
            If more came of this patient than :class:`Bounds` allow.
        PeerUnavailable
            If it does not answer in time or is busy for too long.
        """
        if origin_of(url) != self._origin:
            raise AccessDenied("the EHR names an address of another server, which is not asked")
        self._check_room(into)
        token = self.access.token()
        answer = self._ask(url, accept, token.value)
        if answer.status == 401:
            answer = self._ask(url, accept, self.access.renew(token).value)
        if answer.status != 200:
            raise _refusal(answer.status)
        into.keep(url, answer.content_type, self._clock(), answer.content)
        self._check_room(into)
        return answer

    def is_here(self, url: str) -> bool:
        """Tell whether an address is of this server."""
        return origin_of(url) == self._origin

    def _check_room(self, into: Received) -> None:
        if into.length > self.bounds.received_bytes:
            raise TooLarge(f"the record is longer than {self.bounds.received_bytes} bytes")

    def _ask(self, url: str, accept: str, token: str) -> Answer:
        return self._wire.ask(lambda: Request("GET", url, {"accept": accept, "authorization": f"Bearer {token}"}))

    def _next(self, page: Resource, url: str) -> str | None:
        links = page.get("link")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
                following: str = urljoin(url, link["url"])
                if not self.is_here(following):
                    raise Malformed("the EHR's next page is at another server")
                return following
        return None


def _matches(page: Resource, resource_type: str) -> Iterator[Resource]:
    entries = page.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        found = entry.get("resource") if isinstance(entry, dict) else None
        search = entry.get("search") if isinstance(entry, dict) else None
        mode = search.get("mode", "match") if isinstance(search, dict) else "match"
        if mode != "match" or (isinstance(found, dict) and found.get("resourceType") == "OperationOutcome"):
            continue
        if not isinstance(found, dict) or found.get("resourceType") != resource_type:
            raise Malformed(f"the EHR's search for {resource_type} brings something else")
        if not isinstance(found.get("id"), str) or not _ID.fullmatch(found["id"]):
            raise Malformed(f"the EHR's search for {resource_type} brings one without an id")
        yield found


def _resource(answer: Answer) -> Resource:
    if answer.media_type not in _FHIR_TYPES:
        raise UnsupportedMediaType("the EHR answers with another media type than FHIR JSON")
    return loads(answer.content)


def _refusal(status: int) -> Exception:
    if status == 401:
        return Unauthenticated("the EHR does not take our token")
    if status == 403:
        return AccessDenied("the EHR does not allow it")
    if status == 404:
        return NotFound("the EHR has nothing of that id")
    if status == 410:
        return Gone("the EHR had it, and has deleted it")
    return InputRejected(f"the EHR refuses the request (HTTP {status})")


def _written(content: bytes) -> dict[str, Any]:
    try:
        return {"content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
