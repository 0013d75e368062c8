"""The interactions: read and search, each on record before it is answered."""

import json
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.capability import capability_statement, smart_configuration
from osler.api.fhir.negotiation import require_json, strict
from osler.api.forms import Pairs, parse_pairs, read_form
from osler.api.guard import Caller, admit, write_down
from osler.api.outcome import FHIR_JSON
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import NotFound
from osler.standards import fhir
from osler.standards.fhir_query import CURSOR, Query, parse_query
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.resources import Page, Stored

_PRIVATE: Final = {"cache-control": "no-store"}


class Interactions:
    """Endpoints of the FHIR side."""

    def __init__(self, services: Services) -> None:
        self._services = services
        statement = capability_statement(services, now=services.tokens.clock())
        self._metadata = fhir.dumps(statement)
        self._smart = json.dumps(smart_configuration(services))

    def metadata(self, request: Request) -> Response:
        """Answer ``GET /metadata``; open to everybody (R4 3.1.0.9)."""
        require_json(request)
        return Response(self._metadata, media_type=FHIR_JSON)

    def smart(self, request: Request) -> Response:
        """Answer ``GET /.well-known/smart-configuration``; open to everybody."""
        return Response(self._smart, media_type="application/json")

    def read(self, request: Request) -> Response:
        """Answer ``GET /{type}/{id}`` (R4 3.1.0.2)."""
        caller, type_name = self._enter(request, "r")
        audit = self._services.audit
        try:
            found = self._services.resources.read(type_name, request.path_params["id"])
        except NotFound:
            write_down(audit, _record(caller, "resource-read", outcome=4, detail={"type": type_name}))
            raise
        write_down(audit, _record(caller, "resource-read", patient=found.patient, entities=(_version(found),)))
        tag = f'W/"{found.version}"'
        headers = _PRIVATE | {"etag": tag, "last-modified": formatdate(found.updated_at, usegmt=True)}
        if tag in (t.strip() for t in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        return Response(found.text, headers=headers, media_type=FHIR_JSON)

    def search(self, request: Request) -> Response:
        """Answer ``GET /{type}?...`` (R4 3.1.0.11)."""
        return self._search(request, [])

    async def search_by_post(self, request: Request) -> Response:
        """Answer ``POST /{type}/_search``: the same as GET, with parameters in both places."""
        form = await read_form(request)
        return await run_in_threadpool(self._search, request, form)

    def _search(self, request: Request, form: Pairs) -> Response:
        caller, type_name = self._enter(request, "s")
        services = self._services
        query = parse_query(
            type_name,
            [*parse_pairs(request.url.query), *form],
            now=services.tokens.clock(),
            base=services.fhir_base,
            strict=strict(request),
        )
        page = services.resources.search(query)
        write_down(services.audit, *_records(caller, query, page))
        return Response(self._bundle(query, page), headers=_PRIVATE, media_type=FHIR_JSON)

    def _enter(self, request: Request, right: str) -> tuple[Caller, str]:
        """Let pass a caller who may do this with a type that is served, in a form that can be answered."""
        caller = admit(request, self._services)
        type_name = request.path_params["type"]
        if type_name not in SEARCHABLE:
            raise NotFound("there is no such type of resource here")
        caller.require(type_name, right)
        require_json(request)
        return caller, type_name

    def _bundle(self, query: Query, page: Page) -> str:
        """Write the searchset. The resources go in as the text that is stored: nothing is parsed again."""
        base = self._services.fhir_base
        address = f"{base}/{query.type}"
        links = [_link("self", address, query.understood)]
        if page.cursor:
            links.append(_link("next", address, (*query.understood, (CURSOR, page.cursor))))
        head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if page.total is not None:
            head["total"] = page.total
        text = json.dumps(head | {"link": links}, separators=(",", ":"))
        if not page.matches:
            return text
        entries = ",".join(
            f'{{"fullUrl":"{base}/{m.reference}","resource":{m.text},"search":{{"mode":"match"}}}}'
            for m in page.matches
        )
        return f'{text[:-1]},"entry":[{entries}]}}'


def _records(caller: Caller, query: Query, page: Page) -> list[AuditRecord]:
    """Return one record for each patient of whom something was found: "who saw this patient" must find it."""
    names = ",".join(dict.fromkeys(condition.parameter for condition in query.conditions))
    detail: dict[str, str | int] = {"type": query.type, "parameters": names, "matches": len(page.matches)}
    by_patient: dict[str | None, list[str]] = {}
    for found in page.matches:
        by_patient.setdefault(found.patient, []).append(_version(found))
    return [
        _record(caller, "resource-searched", patient=patient, entities=tuple(entities), detail=detail)
        for patient, entities in (by_patient or {None: []}).items()
    ]


def _record(caller: Caller, event: str, **what: Any) -> AuditRecord:
    return AuditRecord(event=event, agent=caller.agent, **what)


def _version(found: Stored) -> str:
    return f"{found.reference}/_history/{found.version}"


def _link(relation: str, address: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {"relation": relation, "url": f"{address}?{urlencode(pairs)}" if pairs else address}
