"""The SR that a PACS gets, rule by rule: PS3.16 TID 1500, 1501, 4019; PS3.3 A.35.3; IHE AI Results."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom import sr as highdicom_sr
from pydicom.data import get_testdata_file

from osler.errors import DeliveryRefused
from osler.models.cxr.pixels import read_grey
from osler.plugins import Card, Output
from osler.publish import composite, overlay, secondary_capture, sr
from osler.publish import header as dicom
from osler.testing.results import MODEL, PNEUMONIA, case, identified, radiograph, recorded

CARD = Card(
    MODEL.name, MODEL.version, MODEL.sha256, MODEL.preprocessing, "Triage of children.", "Not for adults.",
    (Output("pneumonia", PNEUMONIA, 0.5),), ("CR",), "Apache-2.0",
)  # fmt: skip


@pytest.fixture(scope="session")
def faults(need: Callable[..., str]) -> Callable[[bytes, Path], list[str]]:
    """Return a function that gives the errors that dciodvfy finds in a file."""
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("dciodvfy", path=beside_python) or need("dciodvfy")

    def _faults(content: bytes, folder: Path) -> list[str]:
        file = folder / "made.dcm"
        file.write_bytes(content)
        said = subprocess.run([program, "-new", file], capture_output=True, text=True, errors="replace")
        lines = (said.stdout + said.stderr).splitlines()
        assert any(line in ("ComprehensiveSR", "SCImage") for line in lines), lines
        return [line for line in lines if line.startswith("Error")]

    return _faults


def build(*contents: bytes, **options: object) -> pydicom.Dataset:
    cases = [case(number, **options) for number in range(1, len(contents) + 1)]  # type: ignore[arg-type]
    return sr.build(recorded(*cases), identified(*contents), card=CARD)


# ------------------------------------------------------------------------------------ the document as a whole


@pytest.mark.parametrize(
    ("keyword", "value", "rule"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33", "A.35.3 Comprehensive SR"),
        ("Modality", "SR", "C.17.1"),
        ("CompletionFlag", "COMPLETE", "C.17.2: it says all that the model says"),
        ("VerificationFlag", "UNVERIFIED", "C.17.2: no person has answered for it"),
        ("PreliminaryFlag", "PRELIMINARY", "C.17.2: until a person confirms it"),
        ("SeriesNumber", 9001, "C.17.1 type 1"),
        ("InstanceNumber", 1, "C.17.2 type 1: the revision of the study"),
        ("SeriesDescription", "AI result, preliminary: cxr-pneumonia-paediatric@1.0.0", "AI-made, said in each list"),
        ("Manufacturer", "Osler", "C.7.5.1 type 2"),
        ("ManufacturerModelName", "cxr-pneumonia-paediatric", "C.7.5.1"),
        ("DeviceSerialNumber", "ab" * 32, "C.7.5.1: the weights' hash"),
        ("SoftwareVersions", ["1.0.0", "osler 0.1.0"], "C.7.5.1: model first"),
        ("PatientID", "P100", "C.7.1.1: the source's"),
        ("PatientName", "Doe^Jane", "C.7.1.1: the source's"),
        ("PatientBirthDate", "20220304", "C.7.1.1: the source's"),
        ("PatientSex", "F", "C.7.1.1: the source's"),
        ("AccessionNumber", "A100", "C.7.2.1: the source's"),
        ("StudyID", "1", "C.7.2.1: the source's"),
        ("StudyDate", "20260102", "C.7.2.1: the source's"),
        ("StudyTime", "093000", "C.7.2.1: the source's"),
    ],
)
def test_attributes(keyword: str, value: object, rule: str) -> None:
    assert build(radiograph())[keyword].value == value


def test_it_is_in_the_study_and_not_in_the_series_of_the_source() -> None:
    content = radiograph()
    source = pydicom.dcmread(io.BytesIO(content))

    made = build(content)

    assert made.StudyInstanceUID == source.StudyInstanceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert made.SOPInstanceUID.startswith("2.25.")


def test_the_evidence_is_what_was_read() -> None:
    """PS3.3 C.17.2: Current Requested Procedure Evidence Sequence (0040,A375)."""
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
    contents = [radiograph(SOPInstanceUID=f"1.2.3.1.{n}", **uids) for n in (1, 2)]

    (study,) = build(*contents).CurrentRequestedProcedureEvidenceSequence

    (series,) = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3", "1.2.3.1")
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence] == ["1.2.3.1.1", "1.2.3.1.2"]


def test_the_moment_is_that_of_the_result_in_the_time_zone_of_the_source() -> None:
    made = build(radiograph(TimezoneOffsetFromUTC="-0330"))

    assert made.TimezoneOffsetFromUTC == "-0330"
    assert (made.ContentDate, made.ContentTime) == ("20260102", "060000")
    assert (made.InstanceCreationDate, made.InstanceCreationTime) == ("20260102", "060000")


# ------------------------------------------------------------------------------------------------ the content


def items(container: pydicom.Dataset) -> list[tuple[str, str, str]]:
    """Return (value type, concept, value) of what a container holds."""
    found = []
    for item in container.ContentSequence:
        concept = item.ConceptNameCodeSequence[0]
        kind = item.ValueType
        value = {
            "TEXT": lambda i: i.TextValue,
            "CODE": lambda i: f"{i.ConceptCodeSequence[0].CodingSchemeDesignator} {i.ConceptCodeSequence[0].CodeValue}",
            "NUM": lambda i: (
                f"{i.MeasuredValueSequence[0].NumericValue} "
                f"{i.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue}"
            ),
            "UIDREF": lambda i: i.UID,
            "IMAGE": lambda i: i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID,
            "CONTAINER": lambda i: "",
        }[kind](item)
        found.append((kind, f"{concept.CodingSchemeDesignator} {concept.CodeValue}", value))
    return found


def groups(made: pydicom.Dataset) -> list[pydicom.Dataset]:
    (measurements,) = (i for i in made.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    return list(measurements.ContentSequence)


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (("CODE", "DCM 121005", "DCM 121007"), "TID 1002: Observer Type is Device"),
        (("TEXT", "DCM 121013", "cxr-pneumonia-paediatric@1.0.0"), "TID 1004: Device Observer Name"),
        (("TEXT", "DCM 121014", "Osler"), "TID 1004: Device Observer Manufacturer"),
        (("TEXT", "DCM 121015", "cxr-pneumonia-paediatric"), "TID 1004: Device Observer Model Name"),
        (("TEXT", "DCM 121016", "ab" * 32), "TID 1004: Device Observer Serial Number, the weights' hash"),
        (("CODE", "DCM 121058", "SCT 363679005"), "TID 1500 row 4: Procedure Reported"),
        (("CONTAINER", "DCM 126010", ""), "TID 1500 row 6: Imaging Measurements"),
    ],
)
def test_the_root(item: tuple[str, str, str], rule: str) -> None:
    made = build(radiograph())

    assert made.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert made.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert item in items(made)


def group_items(**options: object) -> list[tuple[str, str, str]]:
    (group,) = groups(build(radiograph(SOPInstanceUID="1.2.3.1.1"), **options))
    return items(group)


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (("TEXT", "DCM 112039", "pneumonia"), "TID 1501: Tracking Identifier"),
        (("TEXT", "DCM 111001", "cxr-pneumonia-paediatric"), "TID 4019: Algorithm Name"),
        (("TEXT", "DCM 111003", "1.0.0"), "TID 4019: Algorithm Version"),
        (("TEXT", "DCM 111002", f"weights SHA-256 {'ab' * 32}"), "TID 4019: Algorithm Parameters"),
        (("TEXT", "DCM 111002", "preprocessing 1"), "TID 4019: Algorithm Parameters"),
        (("NUM", "DCM 122157", "0.93 1"), "TID 1419: Probability, UCUM 1"),
        (("NUM", "DCM 122411", "0.5 1"), "TID 1419: Threshold Value, UCUM 1"),
        (("CODE", "SCT 233604007", "SCT 52101004"), "TID 1501: the finding is Present (CID 240)"),
        (("IMAGE", "DCM 121112", "1.2.3.1.1"), "TID 1501: Source of Measurement"),
    ],
)
def test_a_measurement_group(item: tuple[str, str, str], rule: str) -> None:
    assert item in group_items()


def test_a_negative_finding_is_absent() -> None:
    said = group_items(probability=0.1)

    assert ("CODE", "SCT 233604007", "SCT 272519000") in said
    assert ("NUM", "DCM 122157", "0.1 1") in said


def test_outside_the_intended_use_is_said_beside_the_finding_and_at_the_end() -> None:
    made = build(radiograph(), outside=["the age is not known"])

    note = "Outside the intended use of the model: the age is not known."
    assert ("TEXT", "DCM 121106", note) in items(groups(made)[0])
    assert note in items(made)[-1][2]


def test_the_end_says_who_made_it() -> None:
    kind, concept, said = items(build(radiograph()))[-1]

    assert (kind, concept) == ("TEXT", "DCM 121106")
    for part in (
        "Made by artificial intelligence",
        "Preliminary",
        "version 1.0.0",
        "Intended use: Triage of children.",
    ):
        assert part in said


def test_one_group_for_each_finding_on_each_case() -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
    made = build(radiograph(**uids), radiograph(**uids))

    tracked = [value for group in groups(made) for kind, concept, value in items(group) if concept == "DCM 112040"]
    assert len(tracked) == len(set(tracked)) == 2


def test_another_reader_of_tid_1500_understands_it() -> None:
    made = pydicom.dcmread(io.BytesIO(composite.encode(build(radiograph()))))

    report = highdicom_sr.ComprehensiveSR.from_dataset(made).content
    (group,) = report.get_image_measurement_groups()

    assert [float(m.value) for m in group.get_measurements()] == [0.93, 0.5]
    (evaluation,) = group.get_qualitative_evaluations()
    assert (evaluation.name.value, evaluation.value.value) == ("233604007", "52101004")


# -------------------------------------------------------------------------------------------- the same each time


def test_the_same_result_gives_the_same_bytes() -> None:
    content = radiograph()

    assert composite.encode(build(content)) == composite.encode(build(content))


@pytest.mark.parametrize("change", ["revision", "version", "weights", "study"])
def test_another_result_is_another_document(change: str) -> None:
    one = recorded()
    inference = one.inference
    other = {
        "revision": recorded(revision=2),
        "version": replace(one, inference=replace(inference, model=replace(MODEL, version="2.0.0"))),
        "weights": replace(one, inference=replace(inference, model=replace(MODEL, sha256="cd" * 32))),
        "study": replace(one, inference=replace(inference, study_instance_uid="2.25.2")),
    }[change]

    assert sr.sr_uid(one) != sr.sr_uid(other)


def test_its_uids_do_not_depend_on_the_identity() -> None:
    one, other = build(radiograph(PatientID="1")), build(radiograph(PatientID="2"))

    assert one.SOPInstanceUID == other.SOPInstanceUID
    assert one.SeriesInstanceUID == other.SeriesInstanceUID


# ------------------------------------------------------------------------------------------------ dirty headers

HEADERS = {
    "as it should be": {},
    "no study date, time, id, accession, referring physician": dict.fromkeys(
        ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
    ),
    "no patient module at all": dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex")),
    "empty patient module": dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex"), ""),
    "a birth date that is none": {"PatientBirthDate": "19990230"},
    "a birth date with full stops": {"PatientBirthDate": "1999.02.03"},
    "a sex that is none": {"PatientSex": "X"},
    "a study time that is none": {"StudyTime": "half past nine"},
    "a study time with colons": {"StudyTime": "09:30:00"},
    "an accession number that is too long": {"AccessionNumber": "A" * 40},
    "a study id that is too long": {"StudyID": "S" * 40},
    "a study description that is too long": {"StudyDescription": "D" * 200},
    "a name that is too long": {"PatientName": "N" * 200 + "^" + "M" * 200},
    "a name with six components": {"PatientName": "a^b^c^d^e^f"},
    "a name in three representations": {
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "SpecificCharacterSet": "ISO_IR 192",
    },
    "a name with escapes": {
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
    },
    "a Korean name": {"PatientName": "Hong^Gildong=洪^吉洞=홍^길동", "SpecificCharacterSet": ["", "ISO 2022 IR 149"]},
    "a Chinese name": {"PatientName": "Wang^XiaoDong=王^小东", "SpecificCharacterSet": "GB18030"},
    "a Greek name": {"PatientName": "Διονυσιος", "SpecificCharacterSet": "ISO_IR 126"},
    "a name with umlauts": {"PatientName": "Äneas^Rüdiger", "SpecificCharacterSet": "ISO_IR 100"},
    "a time zone that is none": {"TimezoneOffsetFromUTC": "CET"},
    "a time zone": {"TimezoneOffsetFromUTC": "+0545"},
    "no modality": {"Modality": None},
    "an issuer": {"IssuerOfPatientID": "1.2.3.4"},
    "a referring physician without a caret": {"ReferringPhysicianName": "ward 7"},
    "a line break in a description": {"StudyDescription": "THORAX\r\nAP"},
    "several descriptions": {"StudyDescription": "THORAX\\AP"},
    "padding": {"PatientID": " P100 ", "AccessionNumber": " A1 "},
}


@pytest.mark.parametrize("attributes", HEADERS.values(), ids=HEADERS)
def test_whatever_the_header_the_document_is_clean(
    attributes: dict[str, object], faults: Callable[[bytes, Path], list[str]], tmp_path: Path
) -> None:
    with dicom.quietly():
        content = radiograph(**attributes)

    assert faults(composite.encode(build(content)), tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"ISO_IR 192", b"ISO_IR 999", id="a character set that nobody knows"),
        pytest.param(b"Doe^Jane", b"D\xf6e^J\xe4ne", id="bytes that the character set does not allow"),
        pytest.param(b"PN\x08\x00Doe^Jane", b"LO\x08\x00Doe^Jane", id="another value representation"),
        pytest.param(b"DA\x08\x0020260102", b"LO\x08\x0020260102", id="a date as text"),
    ],
)
def test_whatever_the_bytes_the_document_is_clean(
    before: bytes, after: bytes, faults: Callable[[bytes, Path], list[str]], tmp_path: Path
) -> None:
    content = radiograph()
    assert before in content

    made = build(content.replace(before, after))

    assert faults(composite.encode(made), tmp_path) == []
    assert made.PatientID == "P100"


@pytest.mark.parametrize("attributes", HEADERS.values(), ids=HEADERS)
def test_no_warning_quotes_a_value(attributes: dict[str, object], recwarn: pytest.WarningsRecorder) -> None:
    with dicom.quietly():
        content = radiograph(**attributes)

    build(content)

    assert [str(w.message) for w in recwarn] == []


def test_what_cannot_be_built_is_refused_without_a_word_of_it() -> None:
    source = identified(radiograph())
    broken = replace(source, read={"2.25.1.1": replace(source.first, identity=None)})  # type: ignore[arg-type]

    with pytest.raises(DeliveryRefused) as caught:
        sr.build(recorded(), broken)

    assert str(caught.value) == "the SR cannot be built (AttributeError)"


def test_a_name_is_kept_in_all_its_representations() -> None:
    content = radiograph(**HEADERS["a name with escapes"])

    made = pydicom.dcmread(io.BytesIO(composite.encode(build(content))))

    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert str(made.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize(
    ("name", "character_set"),
    [("Doe^Jane", "ISO_IR 100"), ("Äneas^Rüdiger", "ISO_IR 100"), ("Διονυσιος", "ISO_IR 192")],
)
def test_the_smallest_character_set_that_is_enough(name: str, character_set: str) -> None:
    made = pydicom.dcmread(io.BytesIO(composite.encode(build(radiograph(PatientName=name)))))

    assert (made.SpecificCharacterSet, str(made.PatientName)) == (character_set, name)


def test_the_patient_id_is_never_changed() -> None:
    """A cut identifier could be another patient's; the receiver has the same long one from the source."""
    with dicom.quietly():
        made = build(radiograph(PatientID="P" * 80))

    assert made.PatientID == "P" * 80


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG1_J2KI.dcm", "RG3_UNCI.dcm", "CT_small.dcm", "MR_small.dcm"])
def test_real_files(name: str, faults: Callable[[bytes, Path], list[str]], tmp_path: Path) -> None:
    file = get_testdata_file(name, download=False)
    assert file is not None
    content = Path(str(file)).read_bytes()

    assert faults(composite.encode(build(content)), tmp_path) == []


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG1_J2KI.dcm", "RG3_UNCI.dcm", None])
def test_the_secondary_capture_is_clean_too(
    name: str | None, faults: Callable[[bytes, Path], list[str]], tmp_path: Path
) -> None:
    content = radiograph() if name is None else Path(str(get_testdata_file(name, download=False))).read_bytes()
    (made,) = secondary_capture.build(
        recorded(case(heatmap="h")),
        identified(content),
        render=read_grey,
        heatmap=lambda _: overlay.png(overlay.picture(np.ones((7, 7), np.float32))),
    )

    assert faults(composite.encode(made), tmp_path) == []
