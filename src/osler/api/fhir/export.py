"""The operation ``$export``: asked for, looked after, and its files given to who asked alone.

References
----------
HL7 FHIR Bulk Data Access 2.0.0, Export
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.negotiation import PRIVATE, require_json
from osler.api.fhir.parameters import read_parameters
from osler.api.fhir.preferences import preferences
from osler.api.forms import Pairs, parse_pairs
from osler.api.guard import Caller, admit, write_down
from osler.api.outcome import outcome_of_status
from osler.api.services import Services
from osler.api.smart.reach import reach_of
from osler.api.smart.scopes import in_words, parse_scopes
from osler.api.smart.tokens import Grant
from osler.audit import AuditRecord
from osler.errors import AccessDenied, InputRejected, Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_matching import matchable
from osler.standards.fhir_query import parse_query
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.exports import COMPLETE, FAILED, Asked, Export, ExportFile, ExportStore

NDJSON: Final = "application/fhir+ndjson"
_FORMS: Final = frozenset({NDJSON, "application/ndjson", "ndjson"})
_APART: Final = frozenset({"AuditEvent"})  # kept elsewhere
_RETRY_S: Final = "5"
_BETWEEN: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
_PATIENT: Final = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")
_ID: Final = re.compile(r"[0-9a-f\-]{36}")
_MOST_PATIENTS: Final = 100_000


@dataclass(slots=True)
class _Reading:
    """Parameters of an export as they are read."""

    lenient: bool
    types: list[str] = field(default_factory=list)
    filters: list[tuple[str, str]] = field(default_factory=list)
    since: float | None = None
    patients: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, words: str) -> None:
        """Leave something out, if the client is content with that.

        Raises
        ------
        Malformed
            If it is not (``Prefer: handling=lenient``).
        """
        if not self.lenient:
            raise Malformed(words)
        self.left_out.append(words)


class Exporting:
    """Endpoints of ``$export``, of the status of an export, and of its files."""

    def __init__(self, services: Services, store: ExportStore) -> None:
        self._services = services
        self._store = store

    async def start(self, request: Request) -> Response:
        """Answer GET and POST ``/$export``, ``/Patient/$export`` and ``/Group/{id}/$export``."""
        if request.method == "HEAD":
            raise HTTPException(405, "an export is asked for by GET or POST", {"allow": "GET, POST"})
        caller = await run_in_threadpool(self._enter, request)
        require_json(request)
        if not preferences(request).asynchronous:
            raise Malformed("an export needs Prefer: respond-async")
        pairs = await read_parameters(request)
        return await run_in_threadpool(self._start, request, caller, pairs)

    def status(self, request: Request) -> Response:
        """Answer ``GET /$export/{id}``: how far it is, or the manifest."""
        caller = self._enter(request)
        with self._services.database.read() as connection:
            export = self._mine(caller, request, connection)
            files = self._store.files(connection, export.id)
        if export.state == FAILED:
            return outcome_of_status(500, "the export failed, or may not go on; ask for it again")
        if export.state != COMPLETE:
            done = f"{export.position.type} of {len(export.asked.types)} types, {export.written} resources"
            return Response(status_code=202, headers={**PRIVATE, "x-progress": done, "retry-after": _RETRY_S})
        headers = {**PRIVATE, "expires": formatdate(export.expires_at, usegmt=True)}
        return Response(fhir.dumps(self._manifest(export, files)), 200, headers, "application/json")

    def cancel(self, request: Request) -> Response:
        """Answer ``DELETE /$export/{id}``: nobody can have it any more."""
        caller = self._enter(request)

        def end(connection: Connection) -> None:
            export = self._mine(caller, request, connection)
            self._store.end(connection, export.id)
            detail = {"reason": "deleted by the client"}
            entities = (f"export:{export.id}",)
            record = AuditRecord("export-ended", agent=caller.agent, entities=entities, detail=detail)
            self._services.audit.append(connection, record)

        self._services.database.write(end)
        return Response(status_code=202, headers=PRIVATE)

    def file(self, request: Request) -> Response:
        """Answer ``GET /$export/{id}/{name}``."""
        caller = self._enter(request)
        with self._services.database.read() as connection:
            export = self._mine(caller, request, connection)
            files = self._store.files(connection, export.id) if export.state == COMPLETE else []
        found = next((file for file in files if file.name == request.path_params["name"]), None)
        if found is None:
            raise NotFound("there is no such file")
        _require_reach(caller, export, found)
        content = self._store.folder.read(export.id, found.name)
        detail: dict[str, str | int] = {"type": found.type, "resources": found.count}
        entities = (f"export:{export.id}",)
        record = AuditRecord("export-downloaded", agent=caller.agent, entities=entities, detail=detail)
        write_down(self._services.audit, record)
        return Response(content, 200, PRIVATE, NDJSON)

    def _enter(self, request: Request) -> Caller:
        caller = admit(request, self._services)
        if caller.grant.person is not None:
            raise AccessDenied("an export is for clients that act for themselves")
        return caller

    def _start(self, request: Request, caller: Caller, pairs: Pairs) -> Response:
        try:
            with self._services.database.read() as connection:
                asked = self._asked(request, caller, pairs, connection)
        except (NotFound, InputRejected) as error:
            detail: dict[str, str | int] = {"reason": type(error).__name__}
            write_down(
                self._services.audit, AuditRecord("export-started", agent=caller.agent, outcome=4, detail=detail)
            )
            raise
        services = self._services

        def begin(connection: Connection) -> str:
            running = self._store.running(connection)
            if caller.client_id in running or len(running) >= services.max_exports:
                raise HTTPException(429, "another export is running", {"retry-after": "60"})
            scope = in_words(caller.grant.scopes)
            export_id = self._store.add(connection, caller.client_id, scope, asked, now=services.tokens.clock())
            detail: dict[str, str | int] = {"level": asked.level, "types": ",".join(asked.types)}
            entities = (f"export:{export_id}",)
            services.audit.append(
                connection, AuditRecord("export-started", agent=caller.agent, entities=entities, detail=detail)
            )
            return export_id

        export_id = services.database.write(begin)
        headers = {**PRIVATE, "content-location": f"{services.fhir_base}/$export/{export_id}"}
        return Response(status_code=202, headers=headers)

    def _asked(self, request: Request, caller: Caller, pairs: Pairs, connection: Connection) -> Asked:
        level = _level(request)
        prefer = ",".join(request.headers.getlist("prefer")).replace(" ", "").lower()
        reading = _Reading(lenient="handling=lenient" in prefer)
        for name, value in pairs:
            if value:
                self._read(reading, name, value, level)
        patients = tuple(reading.patients) if reading.patients else None
        if level == "group":
            members = self._members(request.path_params["id"], caller, connection)
            chosen = frozenset(members if patients is None else patients)
            patients = tuple(member for member in members if member in chosen)
        types = _types(reading, caller, level)
        query = f"?{request.url.query}" if request.url.query else ""
        path = request.url.path.removeprefix("/fhir/R4")
        return Asked(
            f"{self._services.fhir_base}{path}{query}",
            level,
            types,
            tuple(each for each in reading.filters if each[0] in types),
            reading.since,
            patients,
            tuple(reading.left_out),
        )

    def _read(self, reading: _Reading, name: str, value: str, level: str) -> None:
        """Take one parameter."""
        if name == "_outputFormat":
            if value.replace(" ", "+") not in _FORMS:
                raise Malformed(f"files come as {NDJSON}")
        elif name == "_since":
            reading.since = parse_span(value.replace(" ", "+"))[0]
        elif name == "_type":
            reading.types += (type_name.strip() for type_name in value.split(","))
        elif name == "_typeFilter":
            for query in _BETWEEN.split(value):
                reading.filters.append((query.partition("?")[0], self._checked(query)))
        elif name == "patient" and level != "system":
            reading.patients += (_patient_id(text) for text in value.split(","))
        else:
            reading.leave_out("a parameter of the export is not supported")

    def _checked(self, query: str) -> str:
        """Return a ``_typeFilter`` that each resource can be held against by itself."""
        type_name, _, text = query.partition("?")
        if type_name not in SEARCHABLE:
            raise Malformed("_typeFilter names a type of resource that is not served here")
        now, base = self._services.tokens.clock(), self._services.fhir_base
        pairs = parse_pairs(text)
        conditions = parse_query(type_name, pairs, now=now, base=base, strict=True).conditions
        if len(conditions) != len(pairs) or not matchable(conditions):
            raise Malformed("_typeFilter takes search parameters of the type itself: no chains, _has or results' form")
        return query

    def _members(self, group_id: str, caller: Caller, connection: Connection) -> list[str]:
        stored = self._services.resources.find(connection, "Group", group_id, caller.require("Group", "r"))
        members: dict[str, None] = {}
        for member in fhir.loads(stored.text).get("member", []):
            match = _PATIENT.fullmatch(member.get("entity", {}).get("reference", ""))
            if match and not member.get("inactive"):
                members[match[1]] = None
        if len(members) > _MOST_PATIENTS:
            raise Malformed(f"the group has more than {_MOST_PATIENTS} members")
        return list(members)

    def _mine(self, caller: Caller, request: Request, connection: Connection) -> Export:
        export_id = request.path_params["id"]
        export = self._store.find(connection, export_id) if _ID.fullmatch(export_id) else None
        if export is None or export.client_id != caller.client_id:
            raise NotFound("there is no such export")
        return export

    def _manifest(self, export: Export, files: Sequence[ExportFile]) -> dict[str, object]:
        base = f"{self._services.fhir_base}/$export/{export.id}"
        listed = [{"type": f.type, "url": f"{base}/{f.name}", "count": f.count} for f in files]
        apart = {"OperationOutcome": "error", "Bundle": "deleted"}
        return {
            "transactionTime": fhir.instant(export.created_at),
            "request": export.asked.request,
            "requiresAccessToken": True,
            "output": [each for each in listed if each["type"] not in apart],
            **{place: [each for each in listed if each["type"] == type_name] for type_name, place in apart.items()},
        }


def _level(request: Request) -> str:
    if "id" in request.path_params:
        return "group"
    return "patient" if request.url.path.endswith("/Patient/$export") else "system"


def _types(reading: _Reading, caller: Caller, level: str) -> tuple[str, ...]:
    """Return the types that are exported, and say which of those asked for are not.

    Raises
    ------
    AccessDenied
        If there is none that the caller may read and search.
    Malformed
        If a type is asked for that is not served.
    """
    offered = [
        name
        for name, searchable in SEARCHABLE.items()
        if name not in _APART and (level == "system" or name == "Patient" or searchable.compartment)
    ]
    for name in reading.types:
        if name not in SEARCHABLE:
            reading.leave_out("_type names a type of resource that is not served here")
    allowed = [name for name in offered if caller.reach(name, "r") and caller.reach(name, "s")]
    for name in dict.fromkeys(reading.types):
        if name in offered and name not in allowed:
            reading.left_out.append(f"{name} is left out: the scope of the access token does not allow it")
        elif name in SEARCHABLE and name not in offered:
            reading.left_out.append(f"{name} is left out: it is no part of an export like this")
    chosen = tuple(name for name in allowed if not reading.types or name in reading.types)
    if not chosen:
        raise AccessDenied("the scope of the access token allows nothing of this export")
    return chosen


def _patient_id(text: str) -> str:
    match = _PATIENT.fullmatch(text.strip())
    if match is None:
        raise Malformed("the parameter patient has the form Patient/id")
    return match[1]


def _require_reach(caller: Caller, export: Export, file: ExportFile) -> None:
    """Let pass a token that reaches as far as the one that asked for the export.

    Raises
    ------
    AccessDenied
        If it does not: the file may hold what it does not reach.
    """
    if file.type == "OperationOutcome":
        return
    asker = Grant(export.client_id, parse_scopes(export.scope))
    for type_name in export.asked.types if file.type == "Bundle" else (file.type,):
        for right in "rs":
            if not set(reach_of(asker, type_name, right)) <= set(caller.reach(type_name, right)):
                raise AccessDenied("the access token does not reach as far as the one that asked for the export")
