"""Where the patient is: PV1.

References
----------
HL7 v2.8, 3.4.3 (PV1), chapter 3.3 (trigger events), tables 0004; HL7 Version 2 to FHIR, segment maps
"""

from dataclasses import dataclass
from typing import Final

from osler.ingest.hl7v2.envelope import Envelope
from osler.ingest.hl7v2.fields import Reader, at, authority, concept, date_time, identifiers, person
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Segment

_ACT: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CLASSES: Final = {
    "I": ("IMP", "inpatient encounter"),
    "O": ("AMB", "ambulatory"),
    "E": ("EMER", "emergency"),
    "P": ("PRENC", "pre-admission"),
    "R": ("AMB", "ambulatory"),
    "B": ("IMP", "inpatient encounter"),
}
_STATUS: Final = {
    "A01": "in-progress",
    "A02": "in-progress",
    "A03": "finished",
    "A04": "in-progress",
    "A05": "planned",
    "A06": "in-progress",
    "A07": "in-progress",
    "A11": "cancelled",
    "A12": "in-progress",
    "A13": "in-progress",
    "A14": "planned",
    "A15": "in-progress",
    "A16": "in-progress",
    "A27": "cancelled",
    "A38": "cancelled",
}
"""Status of the Encounter that a trigger event leaves; other events leave it as it was."""
_ROLES: Final = ((7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM"))
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


@dataclass(frozen=True, slots=True, repr=False)
class Visit:
    """A visit as a message describes it.

    Parameters
    ----------
    number, issuer : str
        PV1-19.
    status : str
        Of the Encounter; empty when the event does not say.
    resource : dict
        An Encounter without id, status and subject.
    """

    number: str
    issuer: str
    status: str
    resource: Resource


def visit_of(envelope: Envelope) -> Visit | None:
    """Read PV1; None when there is none, or it has no visit number."""
    found = envelope.segments("PV1")
    reader = Reader(envelope.message)
    number = reader.component(found[0], 19) if found else ""
    if not number:
        return None
    pv1 = found[0]
    issuer, _ = authority(reader, at(reader.parts(reader.repetitions(pv1, 19)[0]), 4))
    code, words = _CLASSES.get(reader.component(pv1, 2).upper(), ("AMB", "ambulatory"))
    made: Resource = {
        "resourceType": "Encounter",
        "identifier": list(identifiers(reader, pv1, 19, "VN")),
        "class": {"system": _ACT, "code": code, "display": words},
    }
    began, ended = date_time(reader.component(pv1, 44)), date_time(reader.component(pv1, 45))
    period = {name: value for name, value in (("start", began), ("end", ended)) if value}
    if period:
        made["period"] = period
    place = _place(reader, pv1)
    if place:
        made["location"] = [{"location": {"display": place}}]
    service = concept(reader, pv1, 10)
    if service:
        made["serviceType"] = service
    people = [
        {"type": [{"coding": [{"system": _PARTICIPATION, "code": role}]}], "individual": who}
        for field, role in _ROLES
        if (who := person(reader, pv1, field))
    ]
    if people:
        made["participant"] = people
    return Visit(number, issuer, _STATUS.get(envelope.trigger, ""), made)


def _place(reader: Reader, pv1: Segment) -> str:
    """Return point of care, room, bed and facility in words."""
    parts = (reader.component(pv1, 3, n) for n in (4, 1, 2, 3))
    return " ".join(part for part in parts if part)
