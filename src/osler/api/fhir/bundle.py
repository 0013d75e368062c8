"""Batch and transaction: some interactions in one request, each by itself, or all or none.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.17
"""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.body import is_short, read_body
from osler.api.fhir.changes import Changes
from osler.api.fhir.changing import Changing, require_rights
from osler.api.fhir.conditional import etag, not_modified
from osler.api.fhir.entries import Entry, check_entry, entries_of, parse_entry
from osler.api.fhir.negotiation import answer, require_body_of, require_json
from osler.api.fhir.preferences import Preferences, preferences
from osler.api.fhir.reading import Reading, missed
from osler.api.fhir.search import Search
from osler.api.fhir.transaction import Answered, at, changed, changes_of
from osler.api.guard import Caller, admit, denied, write_down
from osler.api.outcome import issues_of
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, Conflict, InvalidResource, NotFound, OslerError, TooLarge
from osler.standards import fhir

_MAX_ANSWER: Final = 16_000_000  # characters


class Bundles:
    """Endpoint of the FHIR base."""

    def __init__(self, services: Services, changes: Changes, reading: Reading, search: Search) -> None:
        self._services = services
        self._changes = changes
        self._reading = reading
        self._search = search

    async def process(self, request: Request) -> Response:
        """Answer ``POST`` on the base."""
        if not is_short(request):
            await run_in_threadpool(self._enter, request)  # a long body is read for those who are known alone
        content = await read_body(request, limit=self._services.max_resource_bytes)
        return await run_in_threadpool(self._process, request, content)

    def _enter(self, request: Request) -> Caller:
        caller = admit(request, self._services)
        require_json(request)
        require_body_of(request)
        return caller

    def _process(self, request: Request, content: bytes) -> Response:
        caller = self._enter(request)
        bundle = fhir.loads(content)
        entries, wishes = entries_of(bundle), preferences(request)
        if bundle["type"] == "transaction":
            answered = self._transaction(caller, entries, wishes)
        else:
            answered = self._batch(request, caller, entries, wishes)
        return answer(request, _written(bundle["type"], answered, wishes, self._services.fhir_base))

    def _batch(
        self, request: Request, caller: Caller, entries: Sequence[Mapping[str, Any]], wishes: Preferences
    ) -> list[Answered]:
        """Do each entry by itself. The changes meet in one commit."""
        answered: dict[int, Answered] = {}
        begun: list[tuple[int, Callable[[], Answered]]] = []
        for number, raw in enumerate(entries):
            try:
                begun.append((number, self._begin(caller, raw, number, wishes)))
            except OslerError as error:
                answered[number] = self._failed(request, error)
        size = 0
        for number, finish in begun:
            try:
                _require_room(size)
                answered[number] = finish()
                size += len(answered[number].text)
            except OslerError as error:
                answered[number] = self._failed(request, error)
        return [answered[number] for number in range(len(entries))]

    def _begin(
        self, caller: Caller, raw: Mapping[str, Any], number: int, wishes: Preferences
    ) -> Callable[[], Answered]:
        """Begin one entry of a batch; what is returned waits for its end."""
        entry = parse_entry(raw, number, self._services.fhir_base)
        change = entry.change
        if change is None:
            return lambda: self._looked(caller, entry, wishes)
        require_rights(caller, change)
        check_entry(entry)
        finish = self._changes.begin(caller, change)
        return lambda: changed(change, finish(), wishes)

    def _looked(self, caller: Caller, entry: Entry, wishes: Preferences) -> Answered:
        try:
            with self._services.database.read() as connection:
                answered, records = self._look(caller, entry, wishes, connection)
        except NotFound as error:
            if entry.wanted is not None:
                write_down(self._services.audit, missed(caller, entry.wanted, error))
            raise
        write_down(self._services.audit, *records)
        return answered

    def _look(
        self, caller: Caller, entry: Entry, wishes: Preferences, connection: Connection
    ) -> tuple[Answered, list[AuditRecord]]:
        wanted, pairs = entry.wanted, list(entry.pairs)
        if wanted is None:
            caller.require(entry.search, "s")
            query = self._search.understood(entry.search, pairs, strict=wishes.strict)
            text, records = self._search.found(caller, query, connection)
            return Answered(200, text=text), records
        if wanted.history:
            text, records = self._reading.versions(caller, wanted, pairs, connection)
            return Answered(200, text=text), records
        found, records = self._reading.one(caller, wanted, connection)
        held = {"if_none_match": entry.if_none_match, "if_modified_since": entry.if_modified_since}
        if not_modified(found, **held):
            return Answered(304, found), records
        return Answered(200, found, found.text), records

    def _failed(self, request: Request, error: OslerError) -> Answered:
        if isinstance(error, AccessDenied):
            write_down(self._services.audit, denied(request, type(error).__name__))
        return Answered(error.http_status, issues=issues_of(error))

    def _transaction(self, caller: Caller, raw: Sequence[Mapping[str, Any]], wishes: Preferences) -> list[Answered]:
        """Do all entries in one transaction, or none.

        A read that finds nothing undoes the changes, so it is done among them. A search fails by its parameters alone,
        which are understood before: it comes when the changes are committed, and no other change waits for it.
        """
        entries = self._checked(caller, raw, wishes)
        changes = [(e, e.change) for e in entries if e.change is not None]
        among = [e for e in entries if changes and e.wanted is not None]
        after = [e for e in entries if e.change is None and not (changes and e.wanted is not None)]

        def run(connection: Connection) -> dict[int, Answered]:
            changing = Changing(self._services, caller, connection)
            answered = changes_of(changing, changes, wishes)
            size = _size(answered)
            for entry in among:
                with at(entry.place):
                    answered[entry.number], records = self._look(caller, entry, wishes, connection)
                    size += len(answered[entry.number].text)
                    _require_room(size)
                changing.records.extend(records)
            changing.settle()
            return answered

        try:
            answered = self._services.database.write(run) if changes else {}
            answered |= self._afterwards(caller, after, wishes, answered)
        except (NotFound, Conflict, InvalidResource) as error:
            detail = {"reason": type(error).__name__}
            record = AuditRecord(event="transaction-refused", agent=caller.agent, outcome=4, detail=detail)
            write_down(self._services.audit, record)
            raise
        return [answered[number] for number in range(len(entries))]

    def _checked(self, caller: Caller, raw: Sequence[Mapping[str, Any]], wishes: Preferences) -> list[Entry]:
        """Understand all entries of a transaction, before the first is done."""
        entries = []
        for number, one in enumerate(raw):
            with at(f"Bundle.entry[{number}]"):
                entry = parse_entry(one, number, self._services.fhir_base)
                if entry.change is not None:
                    require_rights(caller, entry.change)
                elif entry.search:
                    caller.require(entry.search, "s")
                    self._search.understood(entry.search, list(entry.pairs), strict=wishes.strict)
                check_entry(entry)
            entries.append(entry)
        return entries

    def _afterwards(
        self, caller: Caller, entries: Sequence[Entry], wishes: Preferences, changed: Mapping[int, Answered]
    ) -> dict[int, Answered]:
        """Look at what is committed. What fails now fails by itself when there are changes: they stand."""
        answered: dict[int, Answered] = {}
        records: list[AuditRecord] = []
        if not entries:
            return answered
        size = _size(changed)
        with self._services.database.read() as connection:
            for entry in entries:
                try:
                    with at(entry.place):
                        _require_room(size)
                        found, some = self._look(caller, entry, wishes, connection)
                        size += len(found.text)
                        _require_room(size)
                except OslerError as error:
                    if not changed:
                        raise
                    answered[entry.number] = Answered(error.http_status, issues=issues_of(error))
                    continue
                answered[entry.number] = found
                records += some
        write_down(self._services.audit, *records)
        return answered


def _size(answered: Mapping[int, Answered]) -> int:
    return sum(len(one.text) for one in answered.values())


def _require_room(size: int) -> None:
    if size > _MAX_ANSWER:
        raise TooLarge("the answer to the Bundle would be too large")


def _written(kind: str, answered: Sequence[Answered], wishes: Preferences, base: str) -> str:
    """Write the Bundle of the answers. The resources go in as the text that is stored."""
    head = json.dumps({"resourceType": "Bundle", "type": f"{kind}-response"}, separators=(",", ":"))
    if not answered:
        return head
    named: set[str] = set()  # a full URL may come once for each version (R4 bdl-7)
    return f'{head[:-1]},"entry":[{",".join(_entry(one, wishes, base, named) for one in answered)}]}}'


def _entry(one: Answered, wishes: Preferences, base: str, named: set[str]) -> str:
    shape: dict[str, Any] = {}
    response: dict[str, Any] = {"status": f"{one.status} {HTTPStatus(one.status).phrase}"}
    stored = one.stored
    if stored is not None:
        response |= {"etag": etag(stored), "lastModified": fhir.instant(stored.updated_at)}
        place = f"{base}/{stored.reference}/_history/{stored.version}"
        if one.changed and not stored.deleted:
            response["location"] = place
        if one.text and place not in named:
            named.add(place)
            shape["fullUrl"] = f"{base}/{stored.reference}"
    if one.issues or (one.changed and wishes.returning == "OperationOutcome"):
        response["outcome"] = fhir.operation_outcome(one.issues)
    text = fhir.dumps(shape | {"response": response})
    return f'{text[:-1]},"resource":{one.text}}}' if one.text else text
