"""What was ordered: ORC, OBR, TQ1 and IPC of ORM^O01 and OMI^O23.

References
----------
HL7 v2.8, 4.5.1 (ORC), 4.5.3 (OBR), 4.5.4 (TQ1), 4.5.6 (IPC); IHE RAD TF-2 (OBR-18 is the accession number)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.domain.states import Priority
from osler.errors import Malformed, UnsupportedKind
from osler.ingest.hl7v2.envelope import Envelope
from osler.ingest.hl7v2.fields import Reader, at, authority, concept, date_time, identifier, person
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Segment

_STATUS: Final = {
    "NW": "active",
    "XO": "active",
    "SN": "active",
    "NA": "active",
    "OK": "active",
    "RL": "active",
    "SC": "active",
    "XX": "active",
    "CA": "revoked",
    "OC": "revoked",
    "CR": "revoked",
    "DC": "revoked",
    "OD": "revoked",
    "DR": "revoked",
    "HD": "on-hold",
    "OH": "on-hold",
    "HR": "on-hold",
}
"""Status of the ServiceRequest by order control (table 0119)."""
_ORDER_STATUS: Final = {"CM": "completed", "CA": "revoked", "DC": "revoked", "HD": "on-hold", "RP": "revoked"}
_PRIORITY: Final = {"S": "stat", "STAT": "stat", "A": "asap", "ASAP": "asap", "R": "routine", "ROUTINE": "routine"}
_URGENT: Final = {"P": "urgent", "C": "urgent", "T": "urgent", "URGENT": "urgent", "U": "urgent"}
_QUEUE: Final = {"stat": Priority.HIGH, "asap": Priority.HIGH}


@dataclass(frozen=True, slots=True, repr=False)
class Order:
    """An order as a message describes it.

    Parameters
    ----------
    number, issuer : str
        By which it is known again: the placer's number, else the filler's.
    accession : str
        Empty when it has none yet.
    priority : Priority
        In the waiting line.
    resource : dict
        A ServiceRequest without id and subject.
    """

    number: str
    issuer: str
    accession: str
    priority: Priority
    resource: Resource


def orders_of(envelope: Envelope) -> list[Order]:
    """Read all orders of a message.

    Raises
    ------
    Malformed
        If there is none, or one of them has no number.
    UnsupportedKind
        If an order control is not known.
    """
    found = list(_groups(envelope))
    if not found:
        raise Malformed("ORC: the segment is needed")
    reader = Reader(envelope.message)
    return [_order(reader, group) for group in found]


def _groups(envelope: Envelope) -> Iterator[dict[str, Segment]]:
    """Yield the segments of each order, the first of each name."""
    group: dict[str, Segment] = {}
    for segment in envelope.message.segments:
        if segment.name == "ORC":
            if group:
                yield group
            group = {"ORC": segment}
        elif group and segment.name in ("OBR", "TQ1", "IPC"):
            group.setdefault(segment.name, segment)
    if group:
        yield group


def _order(reader: Reader, group: dict[str, Segment]) -> Order:
    orc, obr = group["ORC"], group.get("OBR", Segment("OBR", ()))
    control = reader.component(orc, 1).upper()
    if control not in _STATUS:
        raise UnsupportedKind("ORC-1: this order control is not taken here")
    numbers = [
        (kind, number, issuer, system)
        for kind, fields in (("PLAC", ((orc, 2), (obr, 2))), ("FILL", ((orc, 3), (obr, 3))))
        for number, issuer, system in [_entity(reader, fields)]
        if number
    ]
    if not numbers:
        raise Malformed("ORC-2: a placer or filler order number is needed")
    accession = _accession(reader, group, obr)
    _, number, issuer, _ = numbers[0]
    known = [identifier(value, kind, assigner, system) for kind, value, assigner, system in numbers]
    if accession:
        known.append(identifier(accession, "ACSN", "", ""))
    said = reader.component(orc, 5).upper()
    made: Resource = {
        "resourceType": "ServiceRequest",
        "identifier": known,
        "status": _ORDER_STATUS.get(said, _STATUS[control]) if _STATUS[control] == "active" else _STATUS[control],
        "intent": "order",
    }
    priority = _priority(reader, group, orc, obr)
    made["priority"] = priority or "routine"
    for name, value in (("code", concept(reader, obr, 4)), ("requester", _requester(reader, orc, obr))):
        if value:
            made[name] = value
    for name, text in (
        ("authoredOn", reader.component(orc, 9)),
        ("occurrenceDateTime", _when(reader, group, orc, obr)),
    ):
        if date_time(text):
            made[name] = date_time(text)
    reason = concept(reader, obr, 31) or _words(reader.component(obr, 13))
    if reason:
        made["reasonCode"] = [reason]
    return Order(number, issuer, accession, _QUEUE.get(priority, Priority.MEDIUM), made)


def _entity(reader: Reader, fields: tuple[tuple[Segment, int], ...]) -> tuple[str, str, str]:
    """Read the first entity identifier (EI) that is there: number, and its authority's name and system."""
    for segment, field in fields:
        found = reader.repetitions(segment, field)
        parts = reader.parts(found[0]) if found else []
        number = at(parts, 1, reader.text)
        if number:
            namespace = at(parts, 2, reader.text)
            marks = reader.message.delimiters.subcomponent
            issuer, system = authority(reader, marks.join((namespace, at(parts, 3), at(parts, 4))))
            return number, issuer, system
    return "", "", ""


def _accession(reader: Reader, group: dict[str, Segment], obr: Segment) -> str:
    ipc = group.get("IPC")
    return (reader.component(ipc, 1) if ipc else "") or reader.component(obr, 18) or reader.component(obr, 3)


def _priority(reader: Reader, group: dict[str, Segment], orc: Segment, obr: Segment) -> str:
    tq1 = group.get("TQ1")
    said = [reader.component(tq1, 9)] if tq1 else []
    said += [reader.component(orc, 7, 6), reader.component(obr, 27, 6), reader.component(obr, 5)]
    known = _PRIORITY | _URGENT
    return next((known[text.upper()] for text in said if text.upper() in known), "")


def _when(reader: Reader, group: dict[str, Segment], orc: Segment, obr: Segment) -> str:
    tq1 = group.get("TQ1")
    return (reader.component(tq1, 7) if tq1 else "") or reader.component(obr, 36) or reader.component(orc, 7, 4)


def _requester(reader: Reader, orc: Segment, obr: Segment) -> Resource | None:
    return person(reader, orc, 12) or person(reader, obr, 16)


def _words(text: str) -> Resource | None:
    return {"text": text} if text else None
