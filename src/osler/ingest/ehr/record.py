"""What is read of a patient: who he is, his history, laboratory results, vital signs, reports and documents.

References
----------
HL7 US Core 6.1 (searches by patient and category); SMART App Launch 2.2, Scopes
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from osler.errors import Conflict, Malformed, NotFound, OslerError, TooLarge, Transient, Unauthenticated
from osler.ingest.ehr.documents import Documents
from osler.ingest.ehr.fhir_client import FhirClient, Received
from osler.standards.fhir import Resource

SEARCHES: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("Encounter", {}),
    ("Condition", {}),
    ("MedicationRequest", {}),
    ("AllergyIntolerance", {}),
    ("Observation", {"category": "laboratory"}),
    ("Observation", {"category": "vital-signs"}),
    ("DiagnosticReport", {}),
    ("DocumentReference", {}),
)
"""Searches of a patient's record; two of Observation, because not every server takes two categories at a time."""

TYPES: Final = ("Patient", *dict.fromkeys(name for name, _ in SEARCHES))
PEOPLE: Final = ("Practitioner", "RelatedPerson")
"""Who is read besides, where the record refers to them, to be looked for in its texts; never written out."""

_MOST_PEOPLE: Final = 200
_SCOPE: Final = re.compile(r"(?:patient|user|system)/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(?:\?.*)?")
_PERSON: Final = re.compile(rf"({'|'.join(PEOPLE)})/([A-Za-z0-9.-]{{1,64}})")
_SUBJECT: Final = ("subject", "patient")


@dataclass(frozen=True, slots=True)
class Refused:
    """Resources of a type that were not taken, and by which rule; no value from the data."""

    type: str
    rule: str
    count: int


@dataclass(frozen=True, slots=True, repr=False)
class PatientRecord:
    """A patient's record, identified.

    Parameters
    ----------
    base : str
        Base URL of the server, that the ids count under.
    patient : dict
        The Patient.
    resources : list of dict
        The others, each of him.
    people : list of dict
        Whom the record refers to.
    documents, not_read : int, mapping of str to int
        Documents brought in; those left where they are, by reason.
    refused : tuple of Refused
    """

    base: str
    patient: Resource
    resources: list[Resource]
    people: list[Resource]
    documents: int
    not_read: Mapping[str, int]
    refused: tuple[Refused, ...]


def scopes(context: str) -> str:
    """Return the scopes of what is read, in a context (``system`` or ``patient``).

    Documents and practitioners are in no patient's compartment, and servers differ: beside ``patient/`` scopes the
    person's own (``user/``) are asked for.
    """
    besides = ("Binary", *PEOPLE)
    own = [f"user/{name}.rs" for name in besides] if context == "patient" else []
    return " ".join([*(f"{context}/{name}.rs" for name in (*TYPES, *besides)), *own])


class RecordReader:
    """Reads records, each patient's once.

    Parameters
    ----------
    client : FhirClient
    asked : str
        The scopes that were asked for.
    """

    def __init__(self, client: FhirClient, asked: str) -> None:
        self._client = client
        self._asked = asked
        self._begun: set[str] = set()

    def read(self, wanted: str, into: Received) -> PatientRecord:
        """Read the record of a patient.

        Parameters
        ----------
        wanted : str
            Logical id, or ``system|value`` of an identifier.
        into : Received
            Told what came, before it is understood.

        Raises
        ------
        NotFound, Conflict
            If there is no such patient, more than one, one whose record goes on under another, or who was read before.
        TooLarge
            If there is more than :class:`Bounds` allow; half a record is none.
        PeerUnavailable
            If the EHR stops answering.
        OslerError
            As :meth:`FhirClient.get`, for the Patient.
        """
        patient = self._patient(wanted, into)
        logical_id = str(patient["id"])
        documents = Documents(self._client)
        found: dict[tuple[str, str], Resource] = {}
        refused = Counter[tuple[str, str]]()
        granted = self._granted(refused)
        for name, parameters in SEARCHES:
            if name not in granted:
                continue
            try:
                for resource in self._client.search(name, {"patient": logical_id, **parameters}, into):
                    if not self._is_of(resource, logical_id):
                        refused[name, "another-patient"] += 1
                    else:
                        found[name, str(resource["id"])] = resource
                    if len(found) > self._client.bounds.resources:
                        raise TooLarge(f"the record has more than {self._client.bounds.resources} resources")
            except (Transient, TooLarge, Unauthenticated):
                raise
            except OslerError as error:
                refused[name, _kebab(type(error).__name__)] += 1
        for resource in found.values():
            documents.bring_in(resource, into)
        refused.update({("Binary", _kebab(name)): count for name, count in documents.failed.items()})
        rows = tuple(Refused(name, rule, count) for (name, rule), count in sorted(refused.items()))
        return PatientRecord(
            self._client.base,
            patient,
            list(found.values()),
            self._people([patient, *found.values()], into),
            documents.read,
            dict(documents.left),
            rows,
        )

    def _people(self, resources: Sequence[Resource], into: Received) -> list[Resource]:
        """Read those whom resources refer to, as far as we may: only their names are wanted."""
        scope = self._client.access.token().scope
        wanted = {
            match.groups(): None
            for reference in _references(resources)
            if (match := _PERSON.fullmatch(reference.removeprefix(f"{self._client.base}/")))
        }
        found = []
        for name, logical_id in [one for one in wanted if may_read(scope, one[0])][:_MOST_PEOPLE]:
            try:
                found.append(self._client.read(name, logical_id, into))
            except (Transient, TooLarge, Unauthenticated):
                raise
            except OslerError:
                continue  # not there, or not for us: the rest of the record does not hang on it
        return found

    def _granted(self, refused: Counter[tuple[str, str]]) -> frozenset[str]:
        """Return the types that may be read; what was asked for and not given is refused."""
        asked, given = types_of(self._asked), types_of(self._client.access.token().scope)
        for name in TYPES:
            if name in asked and name not in given:
                refused[name, "not-granted"] += 1
        return given

    def _patient(self, wanted: str, into: Received) -> Resource:
        system, bar, value = wanted.rpartition("|")
        if not bar:
            patient = self._client.read("Patient", wanted, into)
        else:
            matches = list(self._client.search("Patient", {"identifier": wanted}, into))
            if not matches:
                raise NotFound("the EHR has no patient of that identifier")
            if len(matches) > 1:
                raise Conflict("the EHR has more than one patient of that identifier")
            patient = matches[0]
            if not any(_says(identifier, system, value) for identifier in _dicts(patient.get("identifier"))):
                raise Malformed("the EHR gives a patient who does not have the identifier that was asked for")
        if any(link.get("type") == "replaced-by" for link in _dicts(patient.get("link"))):
            raise Conflict("the patient's record goes on under another: ask for that one")
        if patient["id"] in self._begun:
            raise Conflict("the patient's record was asked for before, by this name or another")
        self._begun.add(patient["id"])
        return patient

    def _is_of(self, resource: Resource, logical_id: str) -> bool:
        """Tell whether a resource names this patient, and no other, as its subject."""
        named = [resource[name].get("reference") for name in _SUBJECT if isinstance(resource.get(name), dict)]
        wanted = f"{self._client.base}/Patient/{logical_id}"
        return bool(named) and all(
            isinstance(one, str) and urljoin(f"{self._client.base}/", one).partition("/_history/")[0] == wanted
            for one in named
        )


def types_of(scope: str) -> frozenset[str]:
    """Return which of our types some scopes let one search; of Patient, read."""
    return frozenset(name for name in TYPES if may_read(scope, name, "r" if name == "Patient" else "s"))


def may_read(scope: str, name: str, right: str = "r") -> bool:
    """Tell whether some scopes give a right (``r``: read, ``s``: search) to a type."""
    matches = filter(None, (_SCOPE.fullmatch(text) for text in scope.split()))
    return any(
        match[1] in ("*", name) and (match[2] in ("read", "*") or (match[2] != "write" and right in match[2]))
        for match in matches
    )


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("reference"), str):
                yield node["reference"]
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _says(identifier: Mapping[str, Any], system: str, value: str) -> bool:
    return identifier.get("value") == value and (not system or identifier.get("system") == system)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
