"""A result as an HL7 v2 message, ORU^R01, for an EMR that takes no FHIR.

References
----------
HL7 v2.5.1, 7.3.1 (ORU), 7.4.1 (OBR), 7.4.2 (OBX; table 0085 for OBX-11), 4.5.1 (ORC)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pydicom

from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding
from osler.domain.identifiers import Identity
from osler.publish import header as dicom
from osler.publish.fhir import PROBABILITY, THRESHOLD
from osler.publish.hl7v2 import MARKS, escaped, joined, moment, msh, pieces
from osler.publish.reidentify import IdentifiedStudy
from osler.publish.wording import NOTICE, conclusion, figures, outside
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import Message, Segment, build

_REPORT: Final = Code("18748-4", "LN", "Diagnostic imaging study")
_PRESENT: Final = Code("52101004", "SCT", "Present")
_ABSENT: Final = Code("2667000", "SCT", "Absent")
_STATUS: Final = {"preliminary": "P", "final": "F", "amended": "C", "corrected": "C", "appended": "C"}
_WITHDRAWN: Final = {"entered-in-error": "W", "cancelled": "X"}
_SEX: Final = {"M": "M", "F": "F", "O": "O"}
_GENDER: Final = {"male": "M", "female": "F", "other": "O"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says of itself and of the one that it is for.

    Parameters
    ----------
    control_id : str
        MSH-10; the same each time the same message is sent.
    sender, receiver : (str, str)
        Application and facility.
    status : str
        Of the DiagnosticReport, as FHIR says it.
    now : float
        Seconds since the epoch, UTC.
    issuer : str
        Assigning authority of record numbers whose header names none; empty when the site has not said it.
    """

    control_id: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    status: str
    now: float
    issuer: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Survivor:
    """Who the patient of the study is since a merge.

    Parameters
    ----------
    identity : Identity
        The record number that holds now.
    resource : dict
        The Patient.
    """

    identity: Identity
    resource: Resource


def oru(
    recorded: Recorded,
    source: IdentifiedStudy,
    envelope: Envelope,
    *,
    orders: Sequence[tuple[str, str]],
    survivor: Survivor | None = None,
) -> bytes:
    """Build the message.

    Parameters
    ----------
    recorded : Recorded
    source : IdentifiedStudy
        The study that it belongs to, checked.
    envelope : Envelope
    orders : sequence of (str, str)
        Placer and filler numbers of the order that the study was made for; the first one is named.
    survivor : Survivor, optional
        Whom the patient in the header was merged into: PID is about this one, and PID-3 repeats for the number before.
    """
    status = (_STATUS | _WITHDRAWN).get(envelope.status, "P")
    segments = [
        msh(
            "ORU^R01^ORU_R01",
            envelope.control_id,
            sender=envelope.sender,
            receiver=envelope.receiver,
            now=envelope.now,
        ),
        _pid(source, envelope.issuer) if survivor is None else _merged(source, envelope.issuer, survivor),
        *_order(recorded, source, status, orders),
        *_results(recorded, status),
    ]
    return build(Message(MARKS, tuple(segments), "utf-8"))


def numbers_of(request: Resource) -> tuple[str, str]:
    """Return the placer's and the filler's number of a ServiceRequest; empty when it has none."""
    found = {
        coding.get("code"): str(identifier.get("value", ""))
        for identifier in request.get("identifier", [])
        for coding in identifier.get("type", {}).get("coding", [])
    }
    return found.get("PLAC", ""), found.get("FILL", "")


def _pid(source: IdentifiedStudy, issuer: str) -> Segment:
    header = source.first.header
    family, given, middle, prefix, suffix = (dicom.name(header, "PatientName").alphabetic.split("^") + [""] * 5)[:5]
    born = dicom.date(header, "PatientBirthDate")
    sex = _SEX.get(dicom.code(header, "PatientSex"), "U")
    name = joined(family, given, middle, suffix, prefix) or "^^^^^^U"  # unspecified
    day = born.strftime("%Y%m%d") if born else ""
    return Segment("PID", ("1", "", _number(source, issuer), "", name, "", day, sex))


def _merged(source: IdentifiedStudy, issuer: str, survivor: Survivor) -> Segment:
    identity, patient = survivor.identity, survivor.resource
    number = joined(identity.value, "", "", identity.issuer or issuer, "MR")
    names = sorted(patient.get("name", []), key=lambda name: name.get("use") != "official")
    name = _name_of(names[0]) if names else ""
    day = str(patient.get("birthDate", "")).replace("-", "")
    sex = _GENDER.get(patient.get("gender", ""), "U")
    return Segment("PID", ("1", "", f"{number}~{_number(source, issuer)}", "", name or "^^^^^^U", "", day, sex))


def _name_of(name: Resource) -> str:
    given, rest = ([*name.get("given", []), ""][0], " ".join(name.get("given", [])[1:]))
    parts = joined(
        name.get("family", ""), given, rest, " ".join(name.get("suffix", [])), " ".join(name.get("prefix", []))
    )
    return parts or joined(name.get("text", ""))


def _number(source: IdentifiedStudy, issuer: str) -> str:
    """Return the record number in the header."""
    identity = source.first.identity
    if not identity.patient_id:  # the field is required
        return joined(source.patient, "", "", "OSLER", "PI")
    return joined(identity.patient_id, "", "", identity.issuer_of_patient_id or issuer, "MR")


def _order(
    recorded: Recorded, source: IdentifiedStudy, status: str, orders: Sequence[tuple[str, str]]
) -> Iterator[Segment]:
    accession = source.first.identity.accession_number
    placer, filler = orders[0] if orders else ("", "")
    numbers = (escaped(placer), escaped(filler or accession or recorded.id))
    yield Segment("ORC", ("RE", *numbers))
    obr = [""] * 25
    obr[:4] = ["1", *numbers, _coded(_REPORT)]
    obr[6] = _acquired(source.first.header)
    obr[17] = escaped(accession)
    obr[21] = moment(recorded.recorded_at)
    obr[23] = "RAD"
    obr[24] = status if status in "PFC" else "X"
    yield Segment("OBR", tuple(obr))


def _results(recorded: Recorded, status: str) -> Iterator[Segment]:
    inference = recorded.inference
    number = 0
    found = [(result, finding) for result in inference.results for finding in result.findings]
    for part, (result, finding) in enumerate(found, 1):
        for kind, code, value, units in _values(finding):
            number += 1
            flag = ("POS" if finding.positive else "NEG") if kind == "CWE" else ""
            yield _obx((str(number), kind, _coded(code), str(part), value, units), flag, status, recorded)
        yield from _notes(result)
    for line, words in enumerate(_lines(conclusion(inference)), 1):
        yield _obx((str(number + line), "TX", _coded(_REPORT), str(line), words, ""), "", status, recorded)


def _values(finding: Finding) -> Iterator[tuple[str, Code, str, str]]:
    probability, threshold = figures(finding)
    units = joined("1", "no units", "UCUM")
    yield "CWE", finding.code, _coded(_PRESENT if finding.positive else _ABSENT), ""
    yield "NM", PROBABILITY, str(probability), units
    yield "NM", THRESHOLD, str(threshold), units


def _obx(first: tuple[str, ...], flag: str, status: str, recorded: Recorded) -> Segment:
    fields = [*first, "", flag, "", "", status, *[""] * 7]
    fields[17] = joined(str(recorded.inference.model), "OSLER", recorded.inference.model.sha256, "L")
    return Segment("OBX", tuple(fields))


def _notes(result: CaseResult) -> Iterator[Segment]:
    for number, text in enumerate(_lines(f"{NOTICE}\n{outside(result)}"), 1):
        yield Segment("NTE", (str(number), "L", text))


def _lines(text: str) -> Iterator[str]:
    return (piece for line in text.split("\n") for piece in pieces(line))


def _acquired(header: pydicom.Dataset) -> str:
    day = dicom.date(header, "AcquisitionDate") or dicom.date(header, "StudyDate")
    return day.strftime("%Y%m%d") if day else ""


def _coded(code: Code) -> str:
    return joined(code.value, code.meaning, code.scheme)
