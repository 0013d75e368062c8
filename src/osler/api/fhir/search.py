"""Search: by GET and by POST, on record before it is answered."""

import json
from typing import Any

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.audit_events import AuditEvents
from osler.api.fhir.negotiation import answer, require_json, strict
from osler.api.fhir.rendering import link
from osler.api.forms import Pairs, parse_pairs, read_form
from osler.api.guard import Caller, admit, write_down
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.audit.search import AUDIT_EVENT
from osler.errors import NotFound
from osler.standards import fhir
from osler.standards.fhir_paging import CURSOR
from osler.standards.fhir_query import Query, parse_query
from osler.standards.fhir_search import SEARCHABLE
from osler.standards.fhir_subset import subset
from osler.storage.resource_search import Page
from osler.storage.stored import Stored


class Search:
    """Endpoints of search."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._audit_events = AuditEvents(services)

    def by_get(self, request: Request) -> Response:
        """Answer ``GET /{type}?...`` (R4 3.1.0.11)."""
        return self._search(request, [])

    async def by_post(self, request: Request) -> Response:
        """Answer ``POST /{type}/_search``: the same as GET, with parameters in both places."""
        form = await read_form(request, or_nothing=True)
        return await run_in_threadpool(self._search, request, form)

    def _search(self, request: Request, form: Pairs) -> Response:
        caller = admit(request, self._services)
        type_name = request.path_params["type"]
        if type_name not in SEARCHABLE:
            raise NotFound("there is no such type of resource here")
        caller.require(type_name, "s")
        require_json(request)
        pairs = [*parse_pairs(request.url.query), *form]
        text, records = self.found(caller, self.understood(type_name, pairs, strict=strict(request)))
        write_down(self._services.audit, *records)
        return answer(request, text)

    def understood(self, type_name: str, pairs: Pairs, *, strict: bool) -> Query:
        """Return what the parameters of a search ask for.

        Raises
        ------
        Malformed
            As :func:`parse_query` does.
        """
        services = self._services
        return parse_query(type_name, pairs, now=services.tokens.clock(), base=services.fhir_base, strict=strict)

    def found(
        self, caller: Caller, query: Query, connection: Connection | None = None
    ) -> tuple[str, list[AuditRecord]]:
        """Return a searchset, and what the audit must say of it before it is answered.

        With a connection the search sees what its transaction sees.
        """
        services = self._services
        if query.type == AUDIT_EVENT:
            query, page, records = self._audit_events.page(caller, query, connection)
            return self._bundle(query, page), records
        if connection is None:
            page = services.search.search(query, caller.reach)
        else:
            page = services.search.search_in(connection, query, caller.reach)
        return self._bundle(query, page), _records(caller, query, page)

    def _bundle(self, query: Query, page: Page) -> str:
        """Write the searchset. Whole resources go in as the text that is stored: nothing is parsed again."""
        base = self._services.fhir_base
        address = f"{base}/{query.type}"
        links = [link("self", address, query.understood)]
        if page.cursor:
            links.append(link("next", address, (*query.understood, (CURSOR, page.cursor))))
        head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if page.total is not None:
            head["total"] = page.total
        text = json.dumps(head | {"link": links}, separators=(",", ":"))
        entries = [_entry(base, found, _text(query, found), "match") for found in page.matches]
        entries += (_entry(base, found, found.text, "include") for found in page.included)
        if query.ignored and query.summary != "count":
            outcome = fhir.dumps(fhir.operation_outcome(map(_left_out, query.ignored)))
            entries.append(f'{{"resource":{outcome},"search":{{"mode":"outcome"}}}}')
        return f'{text[:-1]},"entry":[{",".join(entries)}]}}' if entries else text


def _text(query: Query, found: Stored) -> str:
    if not query.elements and query.summary not in ("true", "text", "data"):
        return found.text
    return fhir.dumps(subset(fhir.loads(found.text), query.summary, query.elements))


def _entry(base: str, found: Stored, text: str, mode: str) -> str:
    return f'{{"fullUrl":"{base}/{found.reference}","resource":{text},"search":{{"mode":"{mode}"}}}}'


def _left_out(position: int) -> fhir.Issue:
    words = f"search parameter {position} was not understood and is left out"
    return fhir.Issue("not-supported", "", words, severity="warning")


def _records(caller: Caller, query: Query, page: Page) -> list[AuditRecord]:
    """Return one record for each patient of whom something was found: "who saw this patient" must find it."""
    names = ",".join(dict.fromkeys(condition.parameter for condition in query.conditions))
    detail: dict[str, str | int] = {"type": query.type, "parameters": names, "matches": len(page.matches)}
    by_patient: dict[str | None, list[str]] = {}
    for found in (*page.matches, *page.included):
        by_patient.setdefault(found.patient, []).append(_version(found))
    agent = caller.agent
    return [
        AuditRecord(event="resource-searched", agent=agent, patient=patient, entities=tuple(entities), detail=detail)
        for patient, entities in (by_patient or {None: []}).items()
    ]


def _version(found: Stored) -> str:
    return f"{found.reference}/_history/{found.version}"
