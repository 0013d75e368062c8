"""AuditEvent: read and search, straight from the audit log; each of them goes into the log itself."""

from dataclasses import replace

from sqlalchemy import Connection

from osler.api.guard import Caller
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.audit.search import AUDIT_EVENT, AuditSearch
from osler.domain.reach import Reach
from osler.standards.fhir_index import Link
from osler.standards.fhir_query import Query
from osler.storage.resource_search import Page
from osler.storage.stored import Stored

_EVENT = "audit-searched"
_ALONG = ("_include", "_revinclude")


class AuditEvents:
    """What a FHIR client may do with entries of the log."""

    def __init__(self, services: Services) -> None:
        self._search = AuditSearch(services.database)

    def one(self, caller: Caller, logical_id: str, connection: Connection) -> tuple[Stored, list[AuditRecord]]:
        """Return one entry, and what the audit must say of it before it is answered.

        Raises
        ------
        AccessDenied, NotFound
            If the caller may not, or there is nothing that it may know of.
        """
        reach = caller.require(AUDIT_EVENT, "r")
        found = self._search.find(connection, logical_id, reach)
        return found, [AuditRecord(_EVENT, agent=caller.agent, patient=found.patient, entities=(found.reference,))]

    def page(
        self, caller: Caller, query: Query, connection: Connection | None
    ) -> tuple[Query, Page, list[AuditRecord]]:
        """Return the query as it is in force, one page, and what the audit must say of it before it is answered.

        It is one entry, about the patient who is asked for; it says which entries were shown, from the first number to
        the last, and does not name every patient among them.

        Raises
        ------
        Malformed
            If a parameter asks for what cannot be asked of the log.
        """
        understood = tuple(pair for pair in query.understood if pair[0].partition(":")[0] not in _ALONG)
        query = replace(query, includes=(), revincludes=(), understood=understood)
        if connection is None:
            page = self._search.search(query, caller.reach)
        else:
            page = self._search.search_in(connection, query, caller.reach)
        names = ",".join(dict.fromkeys(condition.parameter for condition in query.conditions))
        detail: dict[str, str | int] = {"type": AUDIT_EVENT, "parameters": names, "matches": len(page.matches)}
        if page.matches:
            numbers = [int(found.id) for found in page.matches]
            detail |= {"first": min(numbers), "last": max(numbers)}
        patient = _only_patient(query, caller.reach(AUDIT_EVENT, "s"))
        return query, page, [AuditRecord(_EVENT, agent=caller.agent, patient=patient, detail=detail)]


def _only_patient(query: Query, reach: Reach) -> str | None:
    """Return the one patient whom a search is about, if there is one."""
    links = [t for c in query.conditions if c.parameter == "patient" for t in c.any_of if isinstance(t, Link)]
    asked: set[str | None] = {link.target.partition("/")[2] for link in links} or {part.patient for part in reach}
    return asked.pop() if len(asked) == 1 else None
