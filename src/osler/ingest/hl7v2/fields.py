"""Data types of HL7 v2 as FHIR.

References
----------
HL7 v2.8, chapter 2A; HL7 Version 2 to FHIR, data type maps
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Message, Segment, split

IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_SYSTEMS: Final = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNM": "http://snomed.info/sct",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "RADLEX": "http://radlex.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
}
"""FHIR code systems by names of table 0396."""
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_TIME: Final = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(?:\.\d{1,4})?)?)?)?)?([+-]\d{4})?")
_NAME_USES: Final = {"L": "official", "D": "usual", "N": "nickname", "M": "maiden", "S": "anonymous", "T": "temp"}
_ADDRESS_USES: Final = {"H": "home", "O": "work", "B": "work", "C": "temp", "BA": "old"}
_PHONE_USES: Final = {"PRN": "home", "WPN": "work", "VHN": "home", "ORN": "home", "PRS": "mobile"}
_PHONE_SYSTEMS: Final = {
    "PH": "phone",
    "CP": "phone",
    "FX": "fax",
    "BP": "pager",
    "Internet": "email",
    "X.400": "email",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads fields of one message."""

    message: Message

    def repetitions(self, segment: Segment, number: int) -> list[str]:
        """Return the raw repetitions of a field that hold something."""
        return [r for r in split(segment.field(number), self.message.delimiters.repetition) if r and r != '""']

    def parts(self, raw: str) -> list[str]:
        """Return the raw components of a field; ``""`` (delete what you have) is empty."""
        return ["" if part == '""' else part for part in split(raw, self.message.delimiters.component)]

    def text(self, raw: str) -> str:
        """Return the text of a raw component: its first subcomponent."""
        return self.message.text(split(raw, self.message.delimiters.subcomponent)[0]).strip()

    def component(self, segment: Segment, number: int, component: int = 1) -> str:
        """Return the text of one component of the first repetition of a field."""
        found = self.repetitions(segment, number)
        return at(self.parts(found[0]), component, self.text) if found else ""

    def subcomponents(self, raw: str) -> list[str]:
        """Return the texts of the subcomponents."""
        return [self.message.text(part).strip() for part in split(raw, self.message.delimiters.subcomponent)]


def at(parts: Sequence[str], number: int, text: Any = str) -> str:
    """Return component ``number``, from 1; empty when it is not there."""
    return str(text(parts[number - 1])) if len(parts) >= number else ""


def authority(reader: Reader, raw: str) -> tuple[str, str]:
    """Read an assigning authority (HD): its name, and its system as a URI when it has one."""
    namespace, universal, kind = (*reader.subcomponents(raw), "", "", "")[:3]
    if kind == "ISO" or (not kind and _OID.fullmatch(universal)):
        return namespace or universal, f"urn:oid:{universal}" if _OID.fullmatch(universal) else ""
    if kind in ("URI", "URL") and universal:
        return namespace or universal, universal
    if _OID.fullmatch(namespace):
        return namespace, f"urn:oid:{namespace}"
    return namespace or universal, ""


def identifier(value: str, kind: str, issuer: str, system: str) -> Resource:
    """Write an Identifier in the manner of those that come from DICOM headers."""
    made: Resource = {"type": {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]}} if kind else {}
    if system:
        made["system"] = system
    made["value"] = value
    if issuer:
        made["assigner"] = {"display": issuer}
    return made


def identifiers(reader: Reader, segment: Segment, number: int, default: str) -> Iterator[Resource]:
    """Yield the identifiers of a CX field."""
    for raw in reader.repetitions(segment, number):
        parts = reader.parts(raw)
        value = at(parts, 1, reader.text)
        if value:
            issuer, system = authority(reader, at(parts, 4))
            yield identifier(value, at(parts, 5, reader.text) or default, issuer, system)


def names(reader: Reader, segment: Segment, number: int) -> Iterator[Resource]:
    """Yield the names of an XPN field."""
    for raw in reader.repetitions(segment, number):
        parts = reader.parts(raw)
        family, given, middle, suffix, prefix, degree, kind = (at(parts, n, reader.text) for n in range(1, 8))
        made: Resource = {"use": _NAME_USES.get(kind, "official")}
        whole = " ".join(part for part in (prefix, given, middle, family, suffix) if part)
        if not whole:
            continue
        made["text"] = whole
        if family:
            made["family"] = family
        lists = {"given": [given, *middle.split()], "prefix": [prefix], "suffix": [suffix, degree]}
        yield made | {name: kept for name, items in lists.items() if (kept := [item for item in items if item])}


def addresses(reader: Reader, segment: Segment, number: int) -> Iterator[Resource]:
    """Yield the addresses of an XAD field."""
    for raw in reader.repetitions(segment, number):
        parts = reader.parts(raw)
        street, other, city, state, code, country, kind = (at(parts, n, reader.text) for n in range(1, 8))
        made: Resource = {"use": _ADDRESS_USES[kind]} if kind in _ADDRESS_USES else {}
        lines = [line for line in (street, other) if line]
        if lines:
            made["line"] = lines
        known = {"city": city, "state": state, "postalCode": code, "country": country}
        made |= {name: value for name, value in known.items() if value}
        if made.keys() - {"use"}:
            yield made


def contact_points(reader: Reader, segment: Segment, number: int, use: str) -> Iterator[Resource]:
    """Yield the telephone numbers and addresses of an XTN field."""
    for raw in reader.repetitions(segment, number):
        parts = reader.parts(raw)
        system = _PHONE_SYSTEMS.get(at(parts, 3, reader.text), "phone")
        value = (
            at(parts, 4, reader.text) if system == "email" else at(parts, 1, reader.text) or at(parts, 12, reader.text)
        )
        if not value:
            numbers = [at(parts, n, reader.text) for n in (5, 6, 7)]
            value = " ".join(part for part in numbers if part) or at(parts, 4, reader.text)
        if not value:
            continue
        made: Resource = {"system": "email" if "@" in value else system, "value": value}
        used = "mobile" if at(parts, 3, reader.text) == "CP" else _PHONE_USES.get(at(parts, 2, reader.text), use)
        yield made | ({"use": used} if used else {})


def concept(reader: Reader, segment: Segment, number: int) -> Resource | None:
    """Read the first repetition of a CWE field as a CodeableConcept; None when it is empty."""
    found = reader.repetitions(segment, number)
    if not found:
        return None
    parts = reader.parts(found[0])
    codings = []
    for start in (1, 4):
        code, words, scheme = (at(parts, start + n, reader.text) for n in range(3))
        if code:
            coding: Resource = {"system": _SYSTEMS[scheme]} if scheme in _SYSTEMS else {}
            coding["code"] = " ".join(code.split())
            codings.append(coding | ({"display": words} if words else {}))
    made: Resource = {"coding": codings} if codings else {}
    words = at(parts, 9, reader.text) or at(parts, 2, reader.text) or at(parts, 5, reader.text)
    if words:
        made["text"] = words
    return made or None


def person(reader: Reader, segment: Segment, number: int) -> Resource | None:
    """Read the first repetition of an XCN field as a reference in words; None when it names nobody."""
    found = reader.repetitions(segment, number)
    if not found:
        return None
    parts = reader.parts(found[0])
    code, family, given, middle, suffix, prefix = (at(parts, n, reader.text) for n in range(1, 7))
    whole = " ".join(part for part in (prefix, given, middle, family, suffix) if part)
    made: Resource = {"display": whole} if whole else {}
    if code:
        issuer, system = authority(reader, at(parts, 9))
        made["identifier"] = identifier(code, "", issuer, system)
    return made or None


def date(text: str) -> str:
    """Return the day of a DTM as a FHIR date, as exact as it is; empty when it has another form."""
    match = _TIME.fullmatch(text.strip())
    return "-".join(part for part in match.group(1, 2, 3) if part) if match and match[1] != "0000" else ""


def date_time(text: str) -> str:
    """Return a DTM as a FHIR dateTime: with the time of day only when it says its zone, which FHIR needs."""
    match = _TIME.fullmatch(text.strip())
    if match is None or not match[4] or not match[7]:
        return date(text)
    zone = f"{match[7][:3]}:{match[7][3:]}"
    return f"{date(text)}T{match[4]}:{match[5]}:{match[6] or '00'}{zone}"
