"""Which series the chest X-ray model reads, and why not the others: a table of headers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from osler.domain.states import AgeBand
from osler.models.cxr import selection
from osler.plugins import Instance, Selection, Study

SERIES = "1.2.3"
MakeInstance = Callable[..., Instance]


@pytest.fixture
def instance(tmp_path: Path) -> MakeInstance:
    """Write a frontal chest CR with these attributes changed (None takes one away)."""

    def _instance(series: str = SERIES, **attributes: Any) -> Instance:
        uid = f"1.2.3.{len(list(tmp_path.iterdir())) + 1}"
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, uid
        dataset.Modality, dataset.Rows, dataset.Columns = "CR", 10, 10
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / uid, enforce_file_format=True)
        return Instance(uid, series, tmp_path / uid)

    return _instance


def code(value: str, scheme: str) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "as coded"
    return pydicom.Sequence([item])


def select(*instances: Instance, age: AgeBand = AgeBand.YOUNG_CHILD, policy: str = "intended") -> Selection:
    return selection.select(Study("1.2", instances, age_band=age), age_policy=policy)


READ = [
    {},
    {"Modality": "DX", "SOPClassUID": DigitalXRayImageStorageForPresentation},
    {"Modality": "RG", "SOPClassUID": SecondaryCaptureImageStorage},
    {"BodyPartExamined": "CHEST"},
    {"BodyPartExamined": "THORAX"},
    {"BodyPartExamined": "LUNG"},
    {"BodyPartExamined": ""},
    {"AnatomicRegionSequence": code("51185008", "SCT")},
    {"AnatomicRegionSequence": code("T-D3000", "SRT")},
    {"ViewPosition": "AP"},
    {"ViewPosition": "PA"},
    {"ViewPosition": "AP SUPINE"},
    {"ViewPosition": ""},
    {"ViewCodeSequence": code("399348003", "SCT")},
    {"ViewCodeSequence": code("R-10214", "SRT")},
    {"PatientOrientation": ["L", "F"]},
    {"NumberOfFrames": 1},
]

REFUSED = [
    ({"Modality": "XA"}, "not a projection radiograph (modality CR, DX or RG)"),
    ({"Modality": "MG"}, "not a projection radiograph (modality CR, DX or RG)"),
    ({"Modality": "CT", "SOPClassUID": CTImageStorage}, "not a projection radiograph (modality CR, DX or RG)"),
    ({"Modality": None}, "not a projection radiograph (modality CR, DX or RG)"),
    ({"SOPClassUID": CTImageStorage}, "not a radiograph's SOP class"),
    ({"SOPClassUID": DigitalXRayImageStorageForProcessing}, "not a radiograph's SOP class"),
    ({"PresentationIntentType": "FOR PROCESSING"}, "the image is for processing, not for presentation"),
    ({"Rows": None}, "there is no image"),
    ({"Columns": None}, "there is no image"),
    ({"NumberOfFrames": 2}, "the image has several frames"),
    ({"BodyPartExamined": "HAND"}, "body part is not the chest"),
    ({"BodyPartExamined": "CHESTABDOMEN"}, "body part is not the chest"),
    ({"AnatomicRegionSequence": code("69536005", "SCT")}, "anatomic region is not the chest"),
    ({"ViewPosition": "LL"}, "not a frontal view (AP or PA)"),
    ({"ViewPosition": "RL"}, "not a frontal view (AP or PA)"),
    ({"ViewPosition": "LATERAL"}, "not a frontal view (AP or PA)"),
    ({"ViewPosition": "LLD"}, "not a frontal view (AP or PA)"),
    ({"ViewPosition": "RLO"}, "not a frontal view (AP or PA)"),
    ({"ViewCodeSequence": code("399067008", "SCT")}, "not a frontal view (AP or PA)"),
    ({"PatientOrientation": ["A", "F"]}, "lateral view: the rows run from front to back"),
    ({"PatientOrientation": ["P", "F"]}, "lateral view: the rows run from front to back"),
]


@pytest.mark.parametrize("attributes", READ, ids=str)
def test_a_frontal_chest_radiograph_is_read(instance: MakeInstance, attributes: dict[str, Any]) -> None:
    one = instance(**attributes)
    chosen = select(one)
    assert [case.instances for case in chosen.cases] == [(one,)]
    assert chosen.cases[0].outside_intended_use == ()
    assert chosen.refused == {}


@pytest.mark.parametrize(("attributes", "reason"), REFUSED, ids=[str(row[0])[:60] for row in REFUSED])
def test_anything_else_is_refused(instance: MakeInstance, attributes: dict[str, Any], reason: str) -> None:
    chosen = select(instance(**attributes))
    assert chosen.cases == ()
    assert chosen.refused == {SERIES: reason}


CHILD, UNKNOWN, ADULT = (
    "trained on ages 1 to 5 years",
    "age unknown: intended for children only",
    "outside the intended population: adult",
)
NOT_FOR_ADULTS = "adult: intended for children only"

AGES = [
    # PatientAge, the study's band, policy, refused with, flagged with
    (None, AgeBand.YOUNG_CHILD, "intended", None, ()),
    (None, AgeBand.NEONATE, "intended", None, (CHILD,)),
    (None, AgeBand.INFANT, "intended", None, (CHILD,)),
    (None, AgeBand.CHILD, "intended", None, (CHILD,)),
    (None, AgeBand.ADOLESCENT, "intended", None, (CHILD,)),
    (None, AgeBand.ADULT, "intended", NOT_FOR_ADULTS, None),
    (None, AgeBand.ADULT, "unknown", NOT_FOR_ADULTS, None),
    (None, AgeBand.ADULT, "any", None, (ADULT,)),
    (None, AgeBand.UNKNOWN, "intended", UNKNOWN, None),
    (None, AgeBand.UNKNOWN, "unknown", None, (UNKNOWN,)),
    (None, AgeBand.UNKNOWN, "any", None, (UNKNOWN,)),
    ("003Y", AgeBand.UNKNOWN, "intended", None, ()),
    ("003Y", AgeBand.ADULT, "intended", None, ()),
    ("040Y", AgeBand.YOUNG_CHILD, "intended", NOT_FOR_ADULTS, None),
    ("012M", AgeBand.UNKNOWN, "intended", None, ()),
    ("011M", AgeBand.UNKNOWN, "intended", None, (CHILD,)),
    ("003W", AgeBand.UNKNOWN, "intended", None, (CHILD,)),
    ("005Y", AgeBand.UNKNOWN, "intended", None, ()),
    ("006Y", AgeBand.UNKNOWN, "intended", None, (CHILD,)),
    ("017Y", AgeBand.UNKNOWN, "intended", None, (CHILD,)),
    ("018Y", AgeBand.UNKNOWN, "intended", NOT_FOR_ADULTS, None),
    ("", AgeBand.UNKNOWN, "intended", UNKNOWN, None),
]


@pytest.mark.parametrize(("patient_age", "band", "policy", "refused", "flagged"), AGES)
def test_age(
    instance: MakeInstance,
    patient_age: str | None,
    band: AgeBand,
    policy: str,
    refused: str | None,
    flagged: tuple[str, ...] | None,
) -> None:
    attributes = {} if patient_age is None else {"PatientAge": patient_age}
    chosen = select(instance(**attributes), age=band, policy=policy)
    assert chosen.refused == ({SERIES: refused} if refused else {})
    assert [case.outside_intended_use for case in chosen.cases] == ([] if refused else [flagged])


def test_bands_of_days() -> None:
    header = pydicom.Dataset()
    bands = {}
    for age in ("027D", "028D", "364D", "366D"):
        header.PatientAge = age
        bands[age] = selection.age_band(header, AgeBand.UNKNOWN)
    assert bands == {
        "027D": AgeBand.NEONATE,
        "028D": AgeBand.INFANT,
        "364D": AgeBand.INFANT,
        "366D": AgeBand.YOUNG_CHILD,
    }


def test_every_series_is_read_or_refused(instance: MakeInstance) -> None:
    study = [
        instance("1.1", ViewPosition="PA"),
        instance("1.1", ViewPosition="LL"),
        instance("1.2", BodyPartExamined="KNEE"),
        instance("1.3"),
        instance("1.3"),
    ]
    chosen = select(*study)
    assert [case.series_instance_uid for case in chosen.cases] == ["1.1", "1.3", "1.3"]
    assert list(chosen.refused) == ["1.2"]


def test_a_file_that_is_not_dicom_is_refused_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"SECRET" * 100)
    chosen = select(Instance("1.9", SERIES, path))
    assert chosen.refused == {SERIES: "the header cannot be read"}


def test_no_reason_quotes_the_header(instance: MakeInstance) -> None:
    chosen = select(instance(BodyPartExamined="SECRET", ViewPosition="SECRET"))
    assert "SECRET" not in str(dict(chosen.refused))
