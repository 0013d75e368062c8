"""The patients and encounters from which a person chooses, within what the person may see, each on record."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from osler.api.guard import Caller, address_of, write_down
from osler.api.people.sessions import SignedIn
from osler.api.services import Services
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.audit import AuditRecord
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.standards.fhir_search import SEARCHABLE

AT_MOST: Final = 20
_SCOPES: Final = parse_scopes("user/Patient.rs user/Encounter.rs")
_ESCAPED: Final = str.maketrans({c: f"\\{c}" for c in ",|$\\"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One that may be chosen, as it is shown."""

    id: str
    title: str
    detail: str


class Choice:
    """Finds what one person may choose from, for one client; ``purpose`` is what the audit says it was for."""

    def __init__(
        self, services: Services, request: Request, person: SignedIn, client_id: str, *, purpose: str = "launch"
    ) -> None:
        self._services = services
        self._purpose = purpose
        acting = ActingFor(person.name, person.role, person.fhir_user)
        broken: frozenset[str] = frozenset()
        if services.people is not None:
            broken = services.people.glass.open_for(person.name, services.tokens.clock())
        self._caller = Caller(Grant(client_id, _SCOPES, person=acting), address_of(request), broken)

    def patients(self, *, name: str = "", identifier: str = "") -> list[Candidate]:
        """Return some patients: those of a name or number, or without either those who changed last."""
        pairs = [("identifier", identifier.translate(_ESCAPED))] if identifier else []
        if name and "name" in SEARCHABLE["Patient"].parameters:
            pairs += [("name", part.translate(_ESCAPED)) for part in name.split()[:5]]
        return [_patient(found) for found in self._found("Patient", [*pairs, ("_sort", "-_lastUpdated")])]

    def patient(self, logical_id: str) -> Candidate | None:
        """Return one patient, or None when this person may see none of that id."""
        found = self._found("Patient", [("_id", logical_id.translate(_ESCAPED))])
        return _patient(found[0]) if len(found) == 1 and found[0]["id"] == logical_id else None

    def named(self, logical_ids: Collection[str]) -> dict[str, Candidate]:
        """Return patients by their ids, without those whom this person may not see."""
        if not logical_ids:
            return {}
        ids = ",".join(one.translate(_ESCAPED) for one in sorted(logical_ids))
        return {found["id"]: _patient(found) for found in self._found("Patient", [("_id", ids)], len(logical_ids))}

    def encounters(self, patient: str) -> list[Candidate]:
        """Return the latest encounters of a patient."""
        if "Encounter" not in SEARCHABLE:
            return []
        return [_encounter(found) for found in self._found("Encounter", [("patient", f"Patient/{patient}")])]

    def _found(self, type_name: str, pairs: list[tuple[str, str]], most: int = AT_MOST) -> list[Mapping[str, Any]]:
        services = self._services
        if not self._caller.reach(type_name, "s") or not self._caller.reach(type_name, "r"):
            return []
        asked = [*((name, value) for name, value in pairs if value), ("_count", str(most)), ("_total", "none")]
        query = parse_query(type_name, asked, now=services.tokens.clock(), base=services.fhir_base)
        page = services.search.search(query, self._caller.reach)
        write_down(
            services.audit,
            *(
                AuditRecord(
                    event="resource-searched",
                    agent=self._caller.agent,
                    patient=match.patient,
                    entities=(f"{match.reference}/_history/{match.version}",),
                    detail={"type": type_name, "for": self._purpose},
                )
                for match in page.matches
            ),
        )
        return [fhir.loads(match.text) for match in page.matches]


def _patient(resource: Mapping[str, Any]) -> Candidate:
    numbers = [str(i["value"]) for i in resource.get("identifier", ()) if i.get("value")]
    facts = [resource.get("birthDate"), resource.get("gender"), *numbers[:2]]
    names = list(_names(resource))
    return Candidate(str(resource["id"]), names[0] if names else "Without a name", " · ".join(filter(None, facts)))


def _names(resource: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(resource.get("name", ()), key=lambda n: n.get("use") not in ("official", "usual")):
        text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
        if text:
            yield str(text)


def _encounter(resource: Mapping[str, Any]) -> Candidate:
    period, kind = resource.get("period", {}), resource.get("class", {})
    when = " to ".join(str(period[end])[:10] for end in ("start", "end") if period.get(end))
    title = str(kind.get("display") or kind.get("code") or "Encounter")
    return Candidate(str(resource["id"]), title, " · ".join(filter(None, [when, resource.get("status")])))
