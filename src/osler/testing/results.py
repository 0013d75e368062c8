"""Results and the studies behind them, made up: for tests of what is published and of destinations."""

from collections.abc import Mapping, Sequence
from typing import Any

from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion, Refusal
from osler.publish.reidentify import IdentifiedStudy, SourceInstance, SourceSeries, read_header
from osler.standards.dicom import read_identity
from osler.testing.studies import image, part10

PNEUMONIA = Code("233604007", "SCT", "Pneumonia")
MODEL = ModelVersion("cxr-pneumonia-paediatric", "1.0.0", "ab" * 32, "1")


def radiograph(**attributes: Any) -> bytes:
    """Make a chest radiograph of a made-up child as a sender would send it, Computed Radiography.

    Parameters
    ----------
    **attributes
        Attributes by keyword in place of the usual ones; None leaves one out. UIDs are new for each call.

    Returns
    -------
    bytes
        A Part 10 file.
    """
    usual: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyDate": "20260102",
        "StudyTime": "093000",
        "AccessionNumber": "A100",
        "PatientName": "Doe^Jane",
        "PatientID": "P100",
        "PatientBirthDate": "20220304",
        "PatientSex": "F",
        "PatientAge": "003Y",
        "PatientIdentityRemoved": None,
        "ViewPosition": "AP",
        "StudyID": "1",
        "SeriesNumber": 1,
        "ReferringPhysicianName": "",
    }
    return part10(image("CR", **usual | attributes))


def identified(*contents: bytes) -> IdentifiedStudy:
    """Bind received files to pseudonyms: study 2.25.1, its instances 2.25.1.1 and on, its series 2.25.1.9.1 and on."""
    study_uid = "2.25.1"
    read: dict[str, SourceInstance] = {}
    members: dict[str, list[SourceInstance]] = {}
    for number, content in enumerate(contents, 1):
        one = SourceInstance(read_identity(content), read_header(content), lambda content=content: content)  # type: ignore[misc]
        read[f"{study_uid}.{number}"] = one
        members.setdefault(one.identity.series_instance_uid, []).append(one)
    series = {
        f"{study_uid}.9.{number}": SourceSeries(ones[0], len(ones)) for number, ones in enumerate(members.values(), 1)
    }
    return IdentifiedStudy(study_uid, "OSL-TEST0PATIENT", read, series)


def case(
    number: int = 1,
    *,
    probability: float = 0.93,
    threshold: float = 0.5,
    outside: Sequence[str] = (),
    heatmap: str | None = None,
) -> CaseResult:
    """Make what the made-up model says of instance ``number`` of :func:`identified`: pneumonia, which is critical."""
    finding = Finding("pneumonia", PNEUMONIA, probability, threshold, critical=True)
    return CaseResult("2.25.1.9.1", (f"2.25.1.{number}",), (finding,), tuple(outside), heatmap=heatmap)


def recorded(
    *cases: CaseResult,
    refused: Mapping[str, str] | None = None,
    revision: int = 1,
    recorded_at: float = 1_767_346_200.0,
) -> Recorded:
    """Make a result of the made-up model on the study of :func:`identified`; one positive case when none is given."""
    refusals = tuple(Refusal(uid, reason) for uid, reason in (refused or {}).items())
    return Recorded("result-1", Inference("2.25.1", MODEL, cases or (case(),), refusals), revision, recorded_at)
