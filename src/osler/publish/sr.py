"""A result as a DICOM Comprehensive SR: an Imaging Measurement Report with one measurement group for each finding.

Each group says which image, which concept is present or absent, with what probability at what threshold, and which
algorithm says so. The document is complete as to content, unverified, and preliminary.

References
----------
DICOM PS3.16 TID 1500 (Measurement Report), TID 1501, TID 4019 (Algorithm Identification), CID 240 (Present-Absent);
PS3.3 A.35.3 (Comprehensive SR), C.17.2 (SR Document General); IHE Radiology AI Results (AIR)
"""

from collections.abc import Sequence
from typing import Final

import pydicom
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.plugins import Card
from osler.publish import header as dicom
from osler.publish.composite import (
    MANUFACTURER,
    building,
    describe_equipment,
    describe_moment,
    describe_study,
    finish,
    object_uid,
    series_uid,
)
from osler.publish.ids import dicom_uid
from osler.publish.reidentify import IdentifiedStudy, SourceInstance
from osler.publish.wording import conclusion, figures, outside

SERIES_NUMBER: Final = 9001
_NO_UNIT: Final = PydicomCode("1", "UCUM", "no units")
_PROBABILITY: Final = PydicomCode("122157", "DCM", "Probability")
_THRESHOLD: Final = PydicomCode("122411", "DCM", "Threshold Value")
_PRESENT: Final = PydicomCode("52101004", "SCT", "Present")
_ABSENT: Final = PydicomCode("272519000", "SCT", "Absent")
_IMAGING: Final = PydicomCode("363679005", "SCT", "Imaging procedure")
_COMMENT: Final = PydicomCode("121106", "DCM", "Comment")


def sr_uid(recorded: Recorded) -> str:
    """Return the SOP Instance UID of the document that stands for a result."""
    inference = recorded.inference
    return object_uid("sr", study_uid=inference.study_instance_uid, revision=recorded.revision, model=inference.model)


def build(recorded: Recorded, source: IdentifiedStudy, *, card: Card | None = None) -> pydicom.Dataset:
    """Build the document. The same result gives the same bytes.

    Parameters
    ----------
    recorded : Recorded
        With at least one result.
    source : IdentifiedStudy
        The study that it belongs to, checked; the document names its patient and study.
    card : Card, optional
        The model's card; its intended use goes along.

    Returns
    -------
    pydicom.Dataset
        Explicit VR Little Endian, with file meta information.

    Raises
    ------
    DeliveryRefused
        If it cannot be built.
    """
    inference = recorded.inference
    with building("SR"):
        made = sr.ComprehensiveSR(
            evidence=[_reference(one) for one in source.read.values()],
            content=_content(inference, source, card)[0],
            series_instance_uid=series_uid("sr", study_uid=source.study_uid, model=inference.model),
            series_number=SERIES_NUMBER,
            sop_instance_uid=sr_uid(recorded),
            instance_number=recorded.revision,
            is_complete=True,
            is_final=False,
            is_verified=False,
            specific_character_set="ISO_IR 192",
        )
        made.update(describe_study(source))
        made.update(describe_equipment(inference.model))
        made.update(describe_moment(recorded.recorded_at, source))
        # highdicom names itself there with the time of the call, which is neither the equipment nor the same each time.
        del made.ContributingEquipmentSequence
        made.SeriesDescription = dicom.one_line(f"AI result, preliminary: {inference.model}")
        return finish(made)


def _reference(one: SourceInstance) -> pydicom.Dataset:
    """Return just enough of an instance to refer to it; patient and study are filled in afterwards, clean."""
    made = pydicom.Dataset()
    made.SOPClassUID = one.identity.sop_class_uid
    made.SOPInstanceUID = one.identity.sop_instance_uid
    made.SeriesInstanceUID = one.identity.series_instance_uid
    made.StudyInstanceUID = one.identity.study_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(made, keyword, "")
    made.StudyDate = made.StudyTime = None
    return made


def _content(inference: Inference, source: IdentifiedStudy, card: Card | None) -> sr.MeasurementReport:
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(inference.model)),
        procedure_reported=_IMAGING,
        imaging_measurements=[
            _group(inference, source, result, finding) for result in inference.results for finding in result.findings
        ],
    )
    said = conclusion(inference, intended_use=card.intended_use.strip() if card else "")
    report[0].ContentSequence.append(_comment(said))
    return report


def _observer(model: ModelVersion) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=dicom_uid("device", str(model), model.sha256),
            name=dicom.one_line(str(model)),
            manufacturer_name=MANUFACTURER,
            model_name=dicom.one_line(model.name),
            serial_number=model.sha256,
        ),
    )


def _group(
    inference: Inference, source: IdentifiedStudy, result: CaseResult, finding: Finding
) -> sr.MeasurementsAndQualitativeEvaluations:
    read = [source.read[uid] for uid in result.sop_instance_uids]
    probability, threshold = figures(finding)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=_tracking_uid(inference, result, finding), identifier=dicom.one_line(finding.label)
        ),
        algorithm_id=_algorithm(inference.model),
        measurements=[
            sr.Measurement(name=_PROBABILITY, value=float(probability), unit=_NO_UNIT),
            sr.Measurement(name=_THRESHOLD, value=float(threshold), unit=_NO_UNIT),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(name=_concept(finding.code), value=_PRESENT if finding.positive else _ABSENT)
        ],
        source_images=_images(read),
    )
    note = outside(result)
    if note:
        group[0].ContentSequence.append(_comment(note))
    return group


def _algorithm(model: ModelVersion) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"weights SHA-256 {model.sha256}", f"preprocessing {model.preprocessing}"],
    )


def _images(read: Sequence[SourceInstance]) -> list[sr.SourceImageForMeasurementGroup]:
    return [
        sr.SourceImageForMeasurementGroup(
            referenced_sop_class_uid=one.identity.sop_class_uid,
            referenced_sop_instance_uid=one.identity.sop_instance_uid,
        )
        for one in read
    ]


def _comment(said: str) -> sr.TextContentItem:
    return sr.TextContentItem(name=_COMMENT, value=said, relationship_type="CONTAINS")


def _concept(code: Code) -> PydicomCode:
    return PydicomCode(code.value, code.scheme, dicom.one_line(code.meaning))


def _tracking_uid(inference: Inference, result: CaseResult, finding: Finding) -> str:
    code = finding.code
    return dicom_uid(
        "tracking",
        inference.study_instance_uid,
        str(inference.model),
        *result.sop_instance_uids,
        code.scheme,
        code.value,
    )
