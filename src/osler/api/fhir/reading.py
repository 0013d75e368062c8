"""Read, vread and history, each on record before it is answered.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.2 (read), 3.1.0.3 (vread), 3.1.0.13 (history)
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.audit_events import AuditEvents
from osler.api.fhir.conditional import etag, last_modified, not_modified
from osler.api.fhir.negotiation import PRIVATE, answer, require_json
from osler.api.fhir.rendering import link, rendered
from osler.api.forms import Pairs, parse_pairs
from osler.api.guard import Caller, admit, write_down
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_paging import CURSOR, parse_count, read_cursor, write_cursor
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.resource_history import HistoryQuery, Position
from osler.storage.stored import Stored

READ_ONLY: Final = frozenset({"AuditEvent"})
"""Types that clients cannot write: what is kept of them never changes."""
_MAX_VERSION: Final = 2**31 - 1
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a resource, one version of it, or a history (of all resources of the type without an id)."""

    type: str
    id: str = ""
    version: str = ""
    history: bool = False

    @property
    def event(self) -> str:
        """Name of the audit event."""
        return "history-read" if self.history else "version-read" if self.version else "resource-read"


class Reading:
    """Endpoints that give what is kept."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._audit_events = AuditEvents(services)

    def read(self, request: Request) -> Response:
        """Answer ``GET /{type}/{id}`` and ``GET /{type}/{id}/_history/{version}``."""
        caller, type_name = enter(request, self._services)
        place = request.path_params
        wanted = Wanted(type_name, place["id"], place.get("version", ""))
        if wanted.version:
            require_versions(type_name)
        with self._recorded(caller, wanted) as connection:
            found, records = self.one(caller, wanted, connection)
        write_down(self._services.audit, *records)
        headers = {**PRIVATE, "etag": etag(found), "last-modified": last_modified(found)}
        given = request.headers
        if not_modified(
            found,
            if_none_match=given.get("if-none-match", ""),
            if_modified_since=given.get("if-modified-since", ""),
        ):
            return Response(status_code=304, headers=headers)
        return rendered(request, found, headers)

    def history(self, request: Request) -> Response:
        """Answer ``GET /{type}/_history`` and ``GET /{type}/{id}/_history``."""
        caller, type_name = enter(request, self._services)
        require_json(request)
        require_versions(type_name)
        pairs = parse_pairs(request.url.query)
        wanted = Wanted(type_name, request.path_params.get("id", ""), history=True)
        with self._recorded(caller, wanted) as connection:
            text, records = self.versions(caller, wanted, pairs, connection)
        write_down(self._services.audit, *records)
        return answer(request, text)

    def one(self, caller: Caller, wanted: Wanted, connection: Connection) -> tuple[Stored, list[AuditRecord]]:
        """Return one version, and what the audit must say of it before it is answered.

        Raises
        ------
        AccessDenied, NotFound, Gone
            If the caller may not, or there is nothing that it may know of.
        """
        if wanted.type in READ_ONLY and not wanted.version:
            return self._audit_events.one(caller, wanted.id, connection)
        reach, resources = caller.require(wanted.type, "r"), self._services.resources
        if wanted.version:
            found = resources.version(connection, wanted.type, wanted.id, wanted.version, reach=reach)
        else:
            found = resources.find(connection, wanted.type, wanted.id, reach)
        return found, records(caller, wanted.event, [found])

    def versions(
        self, caller: Caller, wanted: Wanted, pairs: Pairs, connection: Connection
    ) -> tuple[str, list[AuditRecord]]:
        """Return a Bundle of versions, and what the audit must say of it before it is answered.

        Raises
        ------
        AccessDenied, NotFound
            If the caller may not, or there is nothing that it may know of.
        Malformed
            If a parameter has not its form.
        """
        reach = caller.require(wanted.type, "r")
        query, understood = _understood(wanted, pairs)
        found, after = self._services.resources.history(connection, query, reach)
        return self._bundle(query, found, after, understood), records(
            caller, wanted.event, found, {"type": wanted.type}
        )

    @contextmanager
    def _recorded(self, caller: Caller, wanted: Wanted) -> Iterator[Connection]:
        """Read a snapshot; that nothing was found is on record too."""
        try:
            with self._services.database.read() as connection:
                yield connection
        except NotFound as error:
            write_down(self._services.audit, missed(caller, wanted, error))
            raise

    def _bundle(self, query: HistoryQuery, versions: list[Stored], after: Position | None, understood: Pairs) -> str:
        base = self._services.fhir_base
        place = f"{base}/{query.type}/{query.id}/_history" if query.id else f"{base}/{query.type}/_history"
        links = [link("self", place, understood)]
        if after:
            links.append(link("next", place, [*understood, (CURSOR, _written(after))]))
        head: dict[str, Any] = {"resourceType": "Bundle", "type": "history"}
        if query.after is None and after is None:  # all of them are here
            head["total"] = len(versions)
        text = json.dumps(head | {"link": links}, separators=(",", ":"))
        if not versions:
            return text
        return f'{text[:-1]},"entry":[{",".join(_entry(stored, base) for stored in versions)}]}}'


def enter(request: Request, services: Services) -> tuple[Caller, str]:
    """Let pass a known caller who asks for a type that is served, in a form that can be answered.

    Raises
    ------
    Unauthenticated
        If there is no token that holds.
    NotFound
        If the type is not served.
    HTTPException
        406 when the answer cannot be given as asked.
    """
    caller = admit(request, services)
    type_name = request.path_params["type"]
    if type_name not in SEARCHABLE:
        raise NotFound("there is no such type of resource here")
    if type_name != "Binary" or request.method not in ("GET", "HEAD"):
        require_json(request)  # a Binary has a form of its own
    return caller, type_name


def require_versions(type_name: str) -> None:
    """Let pass a type whose resources have versions.

    Raises
    ------
    NotFound
        If what is kept of it never changes.
    """
    if type_name in READ_ONLY:
        raise NotFound("resources of this type have no versions")


def records(
    caller: Caller, event: str, found: list[Stored], detail: dict[str, str | int] | None = None
) -> list[AuditRecord]:
    """Return one record for each patient of whom something was found: "who saw this patient" must find it."""
    by_patient: dict[str | None, list[str]] = {}
    for stored in found:
        by_patient.setdefault(stored.patient, []).append(f"{stored.reference}/_history/{stored.version}")
    return [
        AuditRecord(event=event, agent=caller.agent, patient=patient, entities=tuple(entities), detail=detail or {})
        for patient, entities in (by_patient or {None: []}).items()
    ]


def missed(caller: Caller, wanted: Wanted, error: NotFound) -> AuditRecord:
    """Return the record of what was asked for and not found."""
    detail = {"type": wanted.type, "reason": type(error).__name__}
    return AuditRecord(event=wanted.event, agent=caller.agent, outcome=4, detail=detail)


def _understood(wanted: Wanted, pairs: Pairs) -> tuple[HistoryQuery, Pairs]:
    """Read the parameters of a history (R4 3.1.0.13.2); others are left out."""
    given: dict[str, Any] = {}
    understood: Pairs = []
    for name, value in pairs:
        if not value or name not in ("_count", "_since", "_at", CURSOR):
            continue
        if name == "_count":
            given["count"] = parse_count(value, least=1)
        elif name == "_since":
            given["since"] = parse_span(value.replace(" ", "+"))[0]
        elif name == "_at":
            given["at"] = parse_span(value.replace(" ", "+"))
        else:
            given["after"] = _read(value)
            continue
        understood.append((name, value))
    return HistoryQuery(wanted.type, wanted.id, **given), understood


def _entry(stored: Stored, base: str) -> str:
    status = "204 No Content" if stored.deleted else "201 Created" if stored.version == 1 else "200 OK"
    shape = {
        "fullUrl": f"{base}/{stored.reference}",
        "request": {"method": stored.method, "url": stored.type if stored.method == "POST" else stored.reference},
        "response": {"status": status, "etag": etag(stored), "lastModified": fhir.instant(stored.updated_at)},
    }
    text = json.dumps(shape, separators=(",", ":"))
    return text if stored.deleted else f'{text[:-1]},"resource":{stored.text}}}'


def _written(position: Position) -> str:
    return write_cursor(json.dumps(position).encode())


def _read(cursor: str) -> Position:
    try:
        at, logical_id, version = json.loads(read_cursor(cursor))
        if not (_ID.fullmatch(logical_id) and 0 < version <= _MAX_VERSION):
            raise ValueError(cursor)
        return float(at), logical_id, int(version)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Malformed("the cursor does not belong to this history") from None
