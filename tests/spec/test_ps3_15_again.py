"""What was de-identified here before stays as it is; what only says so does not (PS3.15 E.1.1)."""

import io
import re
from collections.abc import Callable

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.testing.studies import image, part10

MODIFIED = "retain-longitudinal-modified-dates"
REFERENCED = "1.2.840.99999.5"


def as_it_came() -> bytes:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", REFERENCED
    dataset = image("CR", PatientName="Kanarie^Jan", PatientID="KANARIE-7", AccessionNumber="A-7", StudyDate="20200229")
    dataset.ReferencedImageSequence = [reference]
    dataset.AcquisitionDateTime = "20200229101112.5"
    return part10(dataset)


def run(content: bytes, pseudonyms: EphemeralPseudonyms, *options: str) -> bytes:
    return deidentify_instance(content, pseudonyms=pseudonyms, options=options).content


def read(content: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(content))


def identity(content: bytes) -> tuple[str, ...]:
    dataset = read(content)
    return (
        *(dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.PatientID),
        *(str(dataset.PatientName), dataset.AccessionNumber, dataset.get("StudyDate", "")),
        *(dataset.get("AcquisitionDateTime", ""), dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID),
    )


@pytest.mark.parametrize(
    "options", [(), (MODIFIED,), ("retain-longitudinal-full-dates",), ("retain-uids",), ("clean-descriptors", MODIFIED)]
)
def test_twice_is_once(options: tuple[str, ...]) -> None:
    pseudonyms = EphemeralPseudonyms()
    once = run(as_it_came(), pseudonyms, *options)
    assert run(once, pseudonyms, *options) == once
    assert identity(once) != identity(as_it_came())


def test_what_another_system_has_encoded_anew_is_still_known() -> None:
    pseudonyms = EphemeralPseudonyms()
    once = run(as_it_came(), pseudonyms, MODIFIED)
    dataset = read(once)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.ReferencedImageSequence.is_undefined_length = False
    twice = run(part10(dataset), pseudonyms, MODIFIED)
    assert identity(twice) == identity(once)
    assert read(twice).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def _one_date(dataset: Dataset) -> None:
    dataset.StudyDate = "20200229"


def _a_new_date(dataset: Dataset) -> None:
    dataset.SeriesDate = "20200229"


def _one_uid(dataset: Dataset) -> None:
    dataset.SeriesInstanceUID = "1.2.840.99999.6"


def _a_reference(dataset: Dataset) -> None:
    dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = REFERENCED


def _the_patient(dataset: Dataset) -> None:
    dataset.PatientID = "KANARIE-8"


def _the_accession(dataset: Dataset) -> None:
    dataset.AccessionNumber = "A-7"


def _the_seal(dataset: Dataset) -> None:
    dataset.DeidentificationMethod = [*dataset.DeidentificationMethod[:-1], "seal " + "0" * 32]


CHANGES = [_one_date, _a_new_date, _one_uid, _a_reference, _the_patient, _the_accession, _the_seal]


@pytest.mark.parametrize("change", CHANGES)
def test_a_seal_holds_for_no_other_values(change: Callable[[Dataset], None]) -> None:
    pseudonyms = EphemeralPseudonyms()
    dataset = read(run(as_it_came(), pseudonyms, MODIFIED))
    change(dataset)
    given = part10(dataset)
    twice = run(given, pseudonyms, MODIFIED)
    assert not {*identity(given)} & {*identity(twice)}
    assert b"KANARIE" not in twice
    assert b"20200229" not in twice
    assert REFERENCED.encode() not in twice


def test_what_only_says_that_it_was_deidentified_is_treated_as_any_other() -> None:
    dataset = read(as_it_came())
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.DeidentificationMethod = ["OSLER 0.1.0: DICOM PS3.15 2026c basic profile", "seal " + "f" * 32]
    given = part10(dataset)
    assert not {*identity(given)} & {*identity(run(given, EphemeralPseudonyms(), MODIFIED))}


def test_another_vault_knows_nothing_of_it() -> None:
    once = run(as_it_came(), EphemeralPseudonyms(), MODIFIED)
    assert not {*identity(once)} & {*identity(run(once, EphemeralPseudonyms(), MODIFIED))}


def test_under_other_options_it_is_another_thing() -> None:
    pseudonyms = EphemeralPseudonyms()
    given = as_it_came()
    once = run(given, pseudonyms, "retain-uids")
    assert read(once).SOPInstanceUID == read(given).SOPInstanceUID
    assert read(run(once, pseudonyms)).SOPInstanceUID == pseudonyms.uid(read(once).SOPInstanceUID)


# ------------------------------------------------------------------------------------- what earlier methods said


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def test_codes_of_earlier_methods_stay_and_ours_are_added() -> None:
    dataset = read(as_it_came())
    earlier = [
        code("113101", "Clean by Dr. Kanarie"),
        code("113100", "Basic"),
        code("113101", "Again"),
        code("KANARIE", "No"),
    ]
    dataset.DeidentificationMethodCodeSequence = earlier
    made = run(part10(dataset), EphemeralPseudonyms(), MODIFIED)
    codes = [(item.CodeValue, item.CodeMeaning) for item in read(made).DeidentificationMethodCodeSequence]
    assert codes == [
        ("113101", "Clean Pixel Data Option"),
        ("113100", "Basic Application Confidentiality Profile"),
        ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ]
    assert b"anarie" not in made


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("OSLER 0.0.9: DICOM PS3.15 2025a basic profile", True),
        ("OSLER 0.0.9rc1: DICOM PS3.15 2025a basic profile with options", True),
        ("OSLER Kanarie: DICOM PS3.15 2025a basic profile", False),
        ("Kanarie^Jan by hand", False),
        ("seal of Kanarie", False),
    ],
)
def test_of_earlier_texts_ours_stay(text: str, stays: bool) -> None:
    dataset = read(as_it_came())
    dataset.DeidentificationMethod = text
    *texts, own, seal = read(run(part10(dataset), EphemeralPseudonyms())).DeidentificationMethod
    assert texts == ([text] if stays else [])
    assert re.fullmatch(r"OSLER .* basic profile", own)
    assert re.fullmatch(r"seal [0-9a-f]{32}", seal)
