"""What the chart knows of a patient: whom to look for in what was said, and the words that are likely to come up."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from osler.domain.encounter import Subject
from osler.domain.reach import EVERYTHING
from osler.errors import Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_query import parse_query
from osler.stores import Stores

_MOST: Final = 100
_MEDICATIONS: Final = ("MedicationStatement", "MedicationRequest")
_PROBLEMS: Final = ("Condition",)


@dataclass(frozen=True, slots=True, repr=False)
class Chart:
    """What is known before anybody has spoken; identified.

    Parameters
    ----------
    known : mapping
        As a FHIR Patient, with the names, numbers and addresses of everybody around the patient.
    medications, problems : tuple of str
    """

    known: Mapping[str, Any]
    medications: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Chart(<identified>)"


def read_chart(stores: Stores, subject: Subject) -> Chart:
    """Read what our own FHIR store has of the people of an encounter."""
    patient = _resource(stores, "Patient", subject.patient)
    practitioner = _resource(stores, "Practitioner", subject.practitioner)
    return Chart(
        known_people(patient, [practitioner]),
        tuple(_names(stores, _MEDICATIONS, "medicationCodeableConcept", subject.patient)),
        tuple(_names(stores, _PROBLEMS, "code", subject.patient)),
    )


def require_of_patient(stores: Stores, connection: Connection, subject: Subject) -> None:
    """Let pass only an Encounter of the patient, or one that is not in the chart.

    Raises
    ------
    Malformed
        If it is another patient's.
    """
    visit = stores.resources.current(connection, "Encounter", subject.encounter) if subject.encounter else None
    if visit is not None:
        of = fhir.loads(visit.text).get("subject", {}).get("reference", "")
        if of != f"Patient/{subject.patient}":
            raise Malformed("encounter: it is of another patient")


def known_people(patient: Resource, others: list[Resource]) -> dict[str, Any]:
    """Return a patient with what identifies the people around as if it were the patient's own."""
    known: dict[str, Any] = {"resourceType": "Patient"}
    for key in ("name", "telecom", "address", "identifier"):
        held = [item for person in (patient, *others) for item in person.get(key, ())]
        if held:
            known[key] = held
    if "birthDate" in patient:
        known["birthDate"] = patient["birthDate"]
    contacts = patient.get("contact", ())
    if contacts:
        known["name"] = [*known.get("name", ()), *(c["name"] for c in contacts if "name" in c)]
        known["telecom"] = [*known.get("telecom", ()), *(t for c in contacts for t in c.get("telecom", ()))]
    return known


def _resource(stores: Stores, kind: str, logical_id: str) -> Resource:
    if not logical_id:
        return {}
    try:
        return fhir.loads(stores.resources.read(kind, logical_id).text)
    except NotFound:
        return {}


def _of_patient(stores: Stores, kind: str, patient: str) -> list[Resource]:
    pairs = [("patient", f"Patient/{patient}"), ("_count", str(_MOST)), ("_total", "none")]
    query = parse_query(kind, pairs, now=time.time(), base="", strict=True)
    page = stores.search.search(query, lambda *_: EVERYTHING)
    return [fhir.loads(match.text) for match in page.matches]


def _names(stores: Stores, kinds: tuple[str, ...], key: str, patient: str) -> Iterator[str]:
    for kind in kinds:
        for resource in _of_patient(stores, kind, patient):
            concept = resource.get(key, {})
            coding: Mapping[str, Any] = next(iter(concept.get("coding", ())), {})
            text = concept.get("text") or coding.get("display", "")
            if text:
                yield str(text)
