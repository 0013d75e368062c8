"""What a message says of the people in it, for the text engine to look for first."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from osler.deidentify import safe_harbor
from osler.deidentify.free_text import Known, distinct, street_lines
from osler.domain.identifiers import Identity, PseudonymKind
from osler.standards.hl7v2 import Message, Segment, split

_NAMES: Final = {"PID": (5, 6, 9), "NK1": (2, 30), "GT1": (3, 4), "IN1": (16,)}  # XPN
_STAFF: Final = {"PV1": (7, 8, 9, 17, 52), "OBR": (10, 16, 28, 32), "ORC": (10, 11, 12, 19), "OBX": (16,)}  # XCN
_ADDRESSES: Final = {"PID": (11,), "NK1": (4,), "GT1": (5,), "IN1": (19,)}
_TELEPHONES: Final = {"PID": (13, 14), "NK1": (5, 6), "GT1": (6, 7), "IN1": (7,)}
_NUMBERS: Final = {"PID": (2, 3, 4, 18, 19, 20), "PV1": (19, 50), "GT1": (2, 12), "IN1": (36, 49), "OBR": (2, 3, 18)}

PATIENT_NUMBERS: Final = ("MR", "PI", "PT", "")
"""Types of numbers (table 0203) that tell a patient apart for good, the best first."""


def patient_number(message: Message, pid: Segment) -> Identity | None:
    """Return the number that tells a patient apart (PID-3, else PID-2) with who gave it out, as his pseudonym has it.

    Parameters
    ----------
    message : Message
    pid : Segment
    """
    for field in (3, 2):
        found = [
            (kind, Identity(PseudonymKind.PATIENT, number.strip(), issuer))
            for number, _, _, issuer, kind in ([*parts, *[""] * 5][:5] for parts in _parts(message, pid, field))
            if number.strip()
        ]
        best = sorted(found, key=lambda one: [*PATIENT_NUMBERS, one[0]].index(one[0]))
        if best:
            return best[0][1]
    return None


def known_people(message: Message) -> Known:
    """Return the names, contacts, addresses, numbers and the birth date, as one FHIR Patient."""
    names: list[dict[str, Any]] = []
    addresses: list[dict[str, Any]] = []
    telecom: list[dict[str, str]] = []
    identifiers: list[dict[str, str]] = []
    made: dict[str, Any] = {"resourceType": "Patient"}
    for segment in message.segments:
        names += [_name(p, 0) for p in _repetitions(message, segment, _NAMES)]
        names += [_name(p, 1) for p in _repetitions(message, segment, _STAFF)]
        for parts in _repetitions(message, segment, _ADDRESSES):
            line, _, city, state, postal = [*parts, *[""] * 5][:5]
            addresses.append({"line": street_lines(line), "city": city, "state": state, "postalCode": postal})
        for parts in _repetitions(message, segment, _TELEPHONES):
            telecom += [{"value": part} for part in (*parts[:4], "".join(parts[5:7]))]
        identifiers += [{"value": parts[0]} for parts in _repetitions(message, segment, _NUMBERS)]
        if segment.name == "PID" and safe_harbor.year(segment.field(7)):
            born = segment.field(7)[:8]
            made["birthDate"] = "-".join(part for part in (born[:4], born[4:6], born[6:8]) if part)
    made["name"] = distinct(name for name in names if name)
    made["address"] = distinct({k: v for k, v in a.items() if v and v != [""]} for a in addresses)
    made["telecom"] = distinct(t for t in telecom if len(t["value"]) > 5)
    made["identifier"] = distinct(i for i in identifiers if i["value"])
    return made


def _repetitions(message: Message, segment: Segment, wanted: Mapping[str, tuple[int, ...]]) -> Iterator[list[str]]:
    """Yield the components of each repetition of the wanted fields, as text."""
    for number in wanted.get(segment.name, ()):
        yield from _parts(message, segment, number)


def _parts(message: Message, segment: Segment, number: int) -> Iterator[list[str]]:
    """Yield the components of each repetition of a field, as text; of each its first sub-component."""
    marks = message.delimiters
    for raw in split(segment.field(number), marks.repetition):
        if raw and raw != '""':
            parts = split(raw, marks.component)
            yield [message.text(split(part, marks.subcomponent)[0]) for part in parts]


def _name(parts: list[str], first: int) -> dict[str, Any]:
    """Return a FHIR HumanName: family and given names start at a component (0 in XPN, 1 in XCN)."""
    family, *given = [*parts[first : first + 3]] or [""]
    made = {"family": family, "given": [word for word in given if word]}
    return {key: value for key, value in made.items() if value}
