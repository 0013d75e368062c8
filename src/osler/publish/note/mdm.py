"""A note as an HL7 v2 message, MDM^T02, or MDM^T10 for one that replaces another: for an EHR that takes no FHIR.

``send`` of :mod:`osler.publish.mllp_sender` sends it and reads the acknowledgement.

References
----------
HL7 v2.5.1, 9.5.2 (MDM^T02), 9.5.10 (MDM^T10), 9.6.1 (TXA; tables 0270 to 0273), 7.4.2 (OBX), 2.A.52 (PPN), 2.A.88 (XCN)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.errors import DeliveryRefused
from osler.publish.hl7v2 import MARKS, escaped, joined, moment, msh, pieces
from osler.publish.note.characters import printable
from osler.publish.note.document import document_reference_id
from osler.publish.note.entries import NPI
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.wording import made_by, name_of, parts, section_lines
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Message, Segment, build

_TYPES: Final = {"34117-2": "HP", "11488-4": "CN", "18842-5": "DS", "34111-5": "ED", "28570-0": "PN"}
"""Table 0270 by LOINC document type; a progress note (PR) otherwise."""
_CLASSES: Final = {"AMB": "O", "IMP": "I", "EMER": "E"}
_GENDERS: Final = {"male": "M", "female": "F", "other": "O"}
_OBSERVED: Final = {"preliminary": "P", "final": "F", "amended": "C"}


@dataclass(frozen=True, slots=True)
class Addressed:
    """Who a message is from and for.

    Parameters
    ----------
    control_id : str
        MSH-10; the same each time the same message is sent.
    sender, receiver : (str, str)
        Application and facility.
    now : float
        Seconds since the epoch, UTC.
    issuer : str
        Assigning authority of record numbers that name none; empty when the site has not said it.
    """

    control_id: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    now: float
    issuer: str = ""


def mdm(note: IdentifiedNote, addressed: Addressed) -> bytes:
    """Build the message.

    Parameters
    ----------
    note : IdentifiedNote
    addressed : Addressed

    Raises
    ------
    DeliveryRefused
        If a record number holds what a message cannot: a changed one would name another patient.
    """
    event = "T02" if note.amends is None else "T10"
    segments = [
        msh(
            f"MDM^{event}^MDM_T02",
            addressed.control_id,
            sender=addressed.sender,
            receiver=addressed.receiver,
            now=addressed.now,
        ),
        Segment("EVN", (event, moment(addressed.now), "", "", "", moment(note.written_at))),
        _pid(note.patient, addressed.issuer),
        _pv1(note),
        _txa(note),
        *_text_lines(note),
    ]
    return build(Message(MARKS, tuple(segments), "utf-8"))


def _pid(patient: Resource, issuer: str) -> Segment:
    numbers = [
        joined(_unchanged(one["value"]), "", "", one.get("assigner", {}).get("display") or issuer, _type_of(one))
        for one in patient.get("identifier", [])
        if one.get("value") and _type_of(one) in ("MR", "PI")
    ]
    number = "~".join(numbers) or joined(patient["id"], "", "", "OSLER", "PI")  # the field is required
    names = sorted(patient.get("name", []), key=lambda name: name.get("use") != "official")
    name = joined(*_name(names[0])) if names else ""
    day = str(patient.get("birthDate", "")).replace("-", "")
    sex = _GENDERS.get(patient.get("gender", ""), "U")
    return Segment("PID", ("1", "", number, "", name or "^^^^^^U", "", day, sex))  # U: unspecified


def _pv1(note: IdentifiedNote) -> Segment:
    fields = [""] * 44
    fields[0] = "1"
    fields[1] = _CLASSES.get(note.encounter.get("class", {}).get("code", ""), "U")
    fields[6] = _person(note.practitioner)
    numbers = [one["value"] for one in note.encounter.get("identifier", []) if one.get("value")]
    fields[18] = escaped((numbers or [note.encounter["id"]])[0])
    fields[43] = moment(note.began_at)
    return Segment("PV1", tuple(fields))


def _txa(note: IdentifiedNote) -> Segment:
    signature = note.signature
    fields = [""] * 22
    fields[0] = "1"
    fields[1] = _TYPES.get(note.code, "PR")
    fields[2] = "TX"
    fields[3] = moment(note.began_at)
    fields[4] = _person(note.practitioner)
    fields[5] = moment(note.drafted_at)
    if note.edits or note.amends is not None:
        fields[7] = moment(note.written_at)
    fields[8] = fields[9] = _person(signature.practitioner if signature else note.practitioner)
    fields[11] = joined(document_reference_id(note), "OSLER")
    if note.amends is not None:
        fields[12] = joined(document_reference_id(note, note.amends), "OSLER")
    fields[16] = "LA" if signature else "DI"  # legally authenticated; dictated
    fields[17] = "U"  # usual control
    fields[18] = "AV" if signature else "UN"  # available for patient care, or not yet
    if note.amends is not None:
        fields[20] = "Amended"
    if signature:
        fields[21] = joined(*_components(signature.practitioner), "", moment(signature.at))
    return Segment("TXA", tuple(fields))


def _text_lines(note: IdentifiedNote) -> Iterator[Segment]:
    """Yield an OBX for each line: what drafted and who signed first, then the sections under their LOINC codes."""
    number = 0
    said = _coded(note.code, note.title)
    blocks = [(said, [made_by(note)])]
    blocks += [
        (_coded(group[0].code, group[0].title), [group[0].title, *section_lines(group)]) for group in parts(note)
    ]
    for block, (code, lines) in enumerate(blocks, 1):
        for piece in (piece for line in lines for piece in pieces(line)):
            number += 1
            fields = (str(number), "TX", code, str(block), piece, "", "", "", "", "", _OBSERVED[note.status])
            yield Segment("OBX", fields)


def _coded(code: str, title: str) -> str:
    return f"{escaped(code)}^{next(pieces(title), '')}^LN"


def _person(practitioner: Resource) -> str:
    """Write a Practitioner as XCN."""
    return joined(*_components(practitioner))


def _components(practitioner: Resource) -> tuple[str, ...]:
    """Return the first thirteen components of XCN and PPN: number, name, and what the number is."""
    numbers = [one["value"] for one in practitioner.get("identifier", []) if one.get("system") == NPI]
    number, kind = (numbers[0], "NPI") if numbers else (practitioner["id"], "")
    names = practitioner.get("name", [])
    family, given, second, suffix, prefix = _name(names[0]) if names else ("", "", "", "", "")
    return number, family, given, second, suffix, prefix, "", "", "" if numbers else "OSLER", "L", "", "", kind


def _name(name: Resource) -> tuple[str, str, str, str, str]:
    """Return family, given, further given names, suffix, prefix."""
    given = name.get("given", [])
    parted = (name.get("family", ""), " ".join(given[:1]), " ".join(given[1:]))
    if not any(parted):
        return name_of({"name": [name]}), "", "", "", ""
    return *parted, " ".join(name.get("suffix", [])), " ".join(name.get("prefix", []))


def _unchanged(number: str) -> str:
    if number != printable(number):
        raise DeliveryRefused("the patient's record number holds characters that no message can")
    return number


def _type_of(identifier: Resource) -> str:
    """Return the type of an identifier (table 0203); a number without one is a record number."""
    codes = [coding.get("code", "") for coding in identifier.get("type", {}).get("coding", [])]
    return codes[0] if codes else "MR"
