"""The operation ``$everything``: a patient's record, and who and what it speaks of.

References
----------
HL7 FHIR R4 4.0.1, Patient-operation-everything
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.negotiation import answer, require_json
from osler.api.fhir.parameters import read_parameters
from osler.api.fhir.reading import records
from osler.api.fhir.references import LOCAL, references
from osler.api.fhir.rendering import link
from osler.api.forms import Pairs
from osler.api.guard import Caller, admit, write_down
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir_dates import ALWAYS, NO_DATE, parse_span
from osler.standards.fhir_index import index_of
from osler.standards.fhir_paging import CURSOR, parse_count, read_cursor, write_cursor
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.resource_compartment import Compartment
from osler.storage.stored import Stored, within

_EVENT: Final = "everything-read"
_NO_RECORD: Final = frozenset({"AuditEvent", "Subscription", "Group"})
"""Types that are no part of a patient's record."""
_DEFAULT_COUNT: Final = 100
_STEPS: Final = 3  # a role leads to a practitioner and an organization, and an organization to the one above it


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for; dates of care in seconds since the epoch, UTC."""

    types: tuple[str, ...]
    start: float = NO_DATE
    end: float = ALWAYS
    since: float | None = None
    count: int = _DEFAULT_COUNT
    after: tuple[str, str] | None = None

    @property
    def dated(self) -> bool:
        """Whether only care of some time is asked for."""
        return (self.start, self.end) != (NO_DATE, ALWAYS)


@dataclass(frozen=True, slots=True)
class _Page:
    matches: list[Stored]
    referenced: list[Stored]
    more: bool


class Everything:
    """The endpoint of ``Patient/{id}/$everything``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def everything(self, request: Request) -> Response:
        """Answer GET and POST ``/Patient/{id}/$everything``."""
        caller = await run_in_threadpool(self._enter, request)
        pairs = await read_parameters(request)
        return await run_in_threadpool(self._everything, request, caller, pairs)

    def _enter(self, request: Request) -> Caller:
        caller = admit(request, self._services)
        require_json(request)
        caller.require("Patient", "r")
        return caller

    def _everything(self, request: Request, caller: Caller, pairs: Pairs) -> Response:
        asked, understood = _understood(pairs)
        patient = request.path_params["id"]
        try:
            with self._services.database.read() as connection:
                page = self._page(caller, patient, asked, connection)
        except NotFound as error:
            detail = {"type": "Patient", "reason": type(error).__name__}
            write_down(self._services.audit, AuditRecord(_EVENT, agent=caller.agent, outcome=4, detail=detail))
            raise
        found = [*page.matches, *page.referenced]
        written = records(caller, _EVENT, found)
        if patient not in {record.patient for record in written}:
            written.append(AuditRecord(_EVENT, agent=caller.agent, patient=patient))
        write_down(self._services.audit, *written)
        return answer(request, self._bundle(patient, page, understood))

    def _page(self, caller: Caller, patient: str, asked: _Asked, connection: Connection) -> _Page:
        root = self._services.resources.find(connection, "Patient", patient, caller.require("Patient", "r"))
        matches: list[Stored] = []
        more = False
        for stored in self._belonging(caller, root, asked, connection):
            if len(matches) == asked.count:
                more = True
                break
            matches.append(stored)
        return _Page(matches, self._referenced(caller, matches, asked.types, connection), more)

    def _belonging(self, caller: Caller, root: Stored, asked: _Asked, connection: Connection) -> Iterator[Stored]:
        """Yield the patient and the patient's record, as far as it is asked for and within reach."""
        if asked.after is None and "Patient" in asked.types and root.updated_at >= (asked.since or NO_DATE):
            yield root
        reach = {name: (caller.reach(name, "r"), caller.reach(name, "s")) for name in asked.types}
        types = tuple(name for name, (read, searched) in reach.items() if read and searched)
        after = None if asked.after == ("Patient", root.id) else asked.after  # the patient came first
        wanted = Compartment(root.id, types, asked.since, after)
        for stored in self._services.resources.compartment(connection, wanted):
            read, searched = reach[stored.type]
            seen = within(read, stored) and (read == searched or within(searched, stored))
            if seen and (not asked.dated or _cared(stored, asked)):
                yield stored

    def _referenced(
        self, caller: Caller, matches: list[Stored], types: tuple[str, ...], connection: Connection
    ) -> list[Stored]:
        """Return what the matches speak of that is of no patient: people, organizations, devices."""
        known = {stored.reference for stored in matches}
        found: list[Stored] = []
        coming = matches
        for _ in range(_STEPS):
            wanted = dict.fromkeys(r for stored in coming for r in _speaks_of(stored, types) if r not in known)
            known.update(wanted)
            coming = []
            for type_name, logical_id in (reference.split("/") for reference in wanted):
                reach = caller.reach(type_name, "r")
                held = self._services.resources.current(connection, type_name, logical_id) if reach else None
                if held is not None and within(reach, held):
                    coming.append(held)
            found += coming
        return found

    def _bundle(self, patient: str, page: _Page, understood: Pairs) -> str:
        base = self._services.fhir_base
        address = f"{base}/Patient/{patient}/$everything"
        links = [link("self", address, understood)]
        if page.more:
            last = page.matches[-1]
            links.append(link("next", address, [*understood, (CURSOR, _written(last.type, last.id))]))
        head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
        text = json.dumps(head, separators=(",", ":"))
        entries = [_entry(base, stored, "match") for stored in page.matches]
        entries += (_entry(base, stored, "include") for stored in page.referenced)
        return f'{text[:-1]},"entry":[{",".join(entries)}]}}' if entries else text


def _understood(pairs: Pairs) -> tuple[_Asked, Pairs]:
    """Read the parameters; others are left out.

    Raises
    ------
    Malformed
        If one of them has not its form.
    """
    asked = _Asked(tuple(sorted(set(SEARCHABLE) - _NO_RECORD)))
    understood: Pairs = []
    for name, value in pairs:
        text = value.replace(" ", "+")  # a + that was not escaped in the URL
        if name == "_type" and value:
            asked = replace(asked, types=_types(value, asked.types))
        elif name == "_since" and value:
            asked = replace(asked, since=parse_span(text)[0])
        elif name == "start" and value:
            asked = replace(asked, start=parse_span(text)[0])
        elif name == "end" and value:
            asked = replace(asked, end=parse_span(text)[1])
        elif name == "_count" and value:
            asked = replace(asked, count=parse_count(value, least=1))
        elif name == CURSOR:
            asked = replace(asked, after=_read(value))
            continue
        else:
            continue
        understood.append((name, value))
    return asked, understood


def _types(value: str, before: tuple[str, ...]) -> tuple[str, ...]:
    wanted = {name.strip() for name in value.split(",")}
    if not wanted <= set(SEARCHABLE):
        raise Malformed("_type names a type of resource that is not served here")
    return tuple(name for name in before if name in wanted)


def _cared(stored: Stored, asked: _Asked) -> bool:
    """Tell whether a resource is of the time of care that is asked for; one without a date is of all times."""
    main = SEARCHABLE[stored.type].date
    if not main or stored.type == "Patient":
        return True
    spans = [span for span in index_of(fhir.loads(stored.text)).spans if span.parameter == main]
    return not spans or any(span.low < asked.end and span.high > asked.start for span in spans)


def _speaks_of(stored: Stored, types: tuple[str, ...]) -> Iterator[str]:
    for _, text in references(json.loads(stored.text)):
        match = LOCAL.fullmatch(text)
        if match and match[1] in types and not SEARCHABLE[match[1]].compartment:
            yield f"{match[1]}/{match[2]}"


def _entry(base: str, stored: Stored, mode: str) -> str:
    return f'{{"fullUrl":"{base}/{stored.reference}","resource":{stored.text},"search":{{"mode":"{mode}"}}}}'


def _written(type_name: str, logical_id: str) -> str:
    return write_cursor(f"{type_name}/{logical_id}".encode())


def _read(cursor: str) -> tuple[str, str]:
    try:
        text = read_cursor(cursor).decode("ascii")
    except ValueError:
        text = ""
    if not LOCAL.fullmatch(text):
        raise Malformed("the cursor does not belong to this record")
    type_name, _, logical_id = text.partition("/")
    return type_name, logical_id
