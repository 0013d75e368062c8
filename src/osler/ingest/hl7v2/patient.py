"""Who a message is about: PID, NK1 and MRG.

References
----------
HL7 v2.8, 3.4.2 (PID), 3.4.5 (NK1), 3.4.9 (MRG); HL7 Version 2 to FHIR, segment maps
"""

from dataclasses import dataclass
from typing import Final

from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import Malformed
from osler.ingest.hl7v2.envelope import Envelope
from osler.ingest.hl7v2.fields import (
    Reader,
    addresses,
    at,
    authority,
    concept,
    contact_points,
    date,
    date_time,
    identifiers,
    names,
)
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Segment

_GENDER: Final = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown", "N": "other"}
_MARITAL: Final = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
_MARITAL_CODES: Final = frozenset("ADILMPSTUW")
_RECORD_NUMBERS: Final = ("MR", "PI", "PT", "")
"""Types of identifier that may name the patient in this hospital, the best first (table 0203)."""


@dataclass(frozen=True, slots=True, repr=False)
class PatientRecord:
    """A patient as a message describes them.

    Parameters
    ----------
    identity : Identity
        By which the vault knows the patient.
    resource : dict
        A Patient without an id.
    """

    identity: Identity
    resource: Resource


def patient_of(envelope: Envelope, *, site_issuer: str) -> PatientRecord:
    """Read PID and NK1.

    Parameters
    ----------
    envelope : Envelope
    site_issuer : str
        Assigning authority whose numbers DICOM headers here carry without an issuer.

    Raises
    ------
    Malformed
        If there is no PID, or it names no record number.
    """
    reader = Reader(envelope.message)
    pid = _one(envelope, "PID")
    made: Resource = {"resourceType": "Patient", "active": True}
    known: Resource = {
        "identifier": list(identifiers(reader, pid, 3, "MR")),
        "name": list(names(reader, pid, 5)),
        "telecom": [*contact_points(reader, pid, 13, "home"), *contact_points(reader, pid, 14, "work")],
        "gender": _GENDER.get(reader.component(pid, 8).upper(), ""),
        "birthDate": _birth_date(reader, pid),
        "address": list(addresses(reader, pid, 11)),
        "contact": [contact for nk1 in envelope.segments("NK1") if (contact := _contact(reader, nk1))],
    }
    made |= {name: value for name, value in known.items() if value}
    died, dead = date_time(reader.component(pid, 29)), reader.component(pid, 30).upper()
    if died:
        made["deceasedDateTime"] = died
    elif dead in ("Y", "N"):
        made["deceasedBoolean"] = dead == "Y"
    marital = reader.component(pid, 16).upper()
    if marital in _MARITAL_CODES:
        made["maritalStatus"] = {"coding": [{"system": _MARITAL, "code": "UNK" if marital == "U" else marital}]}
    return PatientRecord(_identity(reader, pid, 3, site_issuer), made)


def merged_identity(envelope: Envelope, *, site_issuer: str) -> Identity:
    """Read whom MRG says to be merged away.

    Raises
    ------
    Malformed
        If there is no MRG, or it names no record number.
    """
    return _identity(Reader(envelope.message), _one(envelope, "MRG"), 1, site_issuer)


def _birth_date(reader: Reader, pid: Segment) -> str:
    said = reader.component(pid, 7)
    born = date(said)
    if said and not born:
        raise Malformed("PID-7: not a date")
    return born


def _one(envelope: Envelope, name: str) -> Segment:
    found = envelope.segments(name)
    if not found:
        raise Malformed(f"{name}: the segment is needed")
    return found[0]


def _identity(reader: Reader, segment: Segment, number: int, site_issuer: str) -> Identity:
    found: list[tuple[int, str, str]] = []
    for raw in reader.repetitions(segment, number):
        parts = reader.parts(raw)
        value, kind = at(parts, 1, reader.text), at(parts, 5, reader.text)
        if value and kind in _RECORD_NUMBERS:
            found.append((_RECORD_NUMBERS.index(kind), value, authority(reader, at(parts, 4))[0]))
    if not found:
        raise Malformed(f"{segment.name}-{number}: a record number is needed")
    _, value, issuer = min(found, key=lambda one: one[0])
    return Identity(PseudonymKind.PATIENT, value, "" if issuer == site_issuer else issuer)


def _contact(reader: Reader, nk1: Segment) -> Resource:
    made: Resource = {}
    relationship = concept(reader, nk1, 3)
    if relationship:
        made["relationship"] = [relationship]
    found = {
        "name": next(names(reader, nk1, 2), None),
        "telecom": list(contact_points(reader, nk1, 5, "home")),
        "address": next(addresses(reader, nk1, 4), None),
    }
    made |= {name: value for name, value in found.items() if value}
    return made if made.keys() - {"relationship"} else {}  # pat-1: a contact needs details
