"""Part 10 files: what is read from one, and how one is put together."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import Malformed, UnsupportedKind
from osler.standards.dicom import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    NO_PATIENT_ID,
    Pixels,
    is_standard_uid,
    is_uid,
    open_part10,
    part10,
    patient_identity,
    read_identity,
    read_identity_of_dataset,
    read_text,
    transfer_syntax,
    with_own_meta,
)
from osler.standards.dicom_stream import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

CT, CR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1"


@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "JPEG2000.dcm"),
        *("rtplan.dcm", "reportsi.dcm", "RG1_J2KR.dcm", "US1_UNCR.dcm"),
    ],
)
def test_identity_agrees_with_pydicom(name: str) -> None:
    content = Path(get_testdata_file(name)).read_bytes()
    identity = read_identity(content)
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    assert identity.sop_instance_uid == dataset.SOPInstanceUID
    assert identity.series_instance_uid == dataset.SeriesInstanceUID
    assert identity.study_instance_uid == dataset.StudyInstanceUID
    assert identity.sop_class_uid == dataset.SOPClassUID
    assert identity.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
    assert identity.patient_id == str(dataset.get("PatientID") or "").strip()
    assert identity.accession_number == str(dataset.get("AccessionNumber") or "").strip()


def elements(**values: bytes) -> bytes:
    """Encode a dataset with the UIDs that an instance needs."""
    tags = {
        "charset": (0x00080005, "CS"),
        "sop_class": (0x00080016, "UI"),
        "instance": (0x00080018, "UI"),
        "accession": (0x00080050, "SH"),
        "patient": (0x00100020, "LO"),
        "issuer": (0x00100021, "LO"),
        "study": (0x0020000D, "UI"),
        "series": (0x0020000E, "UI"),
        "priority": (0x00401003, "SH"),
    }
    values = {"sop_class": CT.encode(), "instance": b"1.2.3.4", "study": b"1.2.3", "series": b"1.2.3.1"} | values
    return b"".join(EXPLICIT_LITTLE_ENDIAN.element(*tags[n], values[n]) for n in tags if n in values)


def test_identity_of_a_dataset_as_a_c_store_carries_it() -> None:
    identity = read_identity_of_dataset(
        elements(patient=b"A-7 ", issuer=b"HOSP", accession=b" 42", priority=b"stat"), "1.2.840.10008.1.2.1"
    )
    assert (identity.patient_id, identity.issuer_of_patient_id) == ("A-7", "HOSP")
    assert (identity.accession_number, identity.priority) == ("42", "STAT")
    assert "A-7" not in repr(identity)


@pytest.mark.parametrize(
    ("character_set", "raw", "text"),
    [
        (b"", b"ABC ", "ABC"),
        (b"ISO_IR 192", "Zoë ".encode(), "Zoë"),
        (b"ISO_IR 100", "Zoë".encode("latin-1"), "Zoë"),
        (b"ISO_IR 144", "Яна".encode("iso8859_5"), "Яна"),
        (b"\\ISO 2022 IR 87", b"plain", "plain"),
        (b"ISO_IR 192", b"\xff\xfe", "ÿþ"),
        (b"no such set", b"\xe9", "é"),
    ],
)
def test_text_is_read_in_its_character_set(character_set: bytes, raw: bytes, text: str) -> None:
    assert read_text(raw, character_set) == text


@pytest.mark.parametrize("missing", ["sop_class", "instance", "study", "series"])
def test_an_instance_without_its_uids_is_malformed(missing: str) -> None:
    with pytest.raises(Malformed):
        read_identity_of_dataset(elements(**{missing: b""}), "1.2.840.10008.1.2.1")


@pytest.mark.parametrize("name", ["patient", "issuer", "accession", "priority"])
def test_an_identifier_without_end_is_malformed(name: str) -> None:
    assert read_identity_of_dataset(elements(**{name: b"A" * 256}), "1.2.840.10008.1.2.1")
    with pytest.raises(Malformed):
        read_identity_of_dataset(elements(**{name: b"A" * 258}), "1.2.840.10008.1.2.1")


def test_an_instance_cannot_have_a_uid_of_the_standard() -> None:
    with pytest.raises(Malformed):
        read_identity_of_dataset(elements(instance=CT.encode()), "1.2.840.10008.1.2.1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.2.840.10008.1.2", True),
        ("2.25.1", True),
        ("1.02.3", True),
        ("1", True),
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),
        ("", False),
        ("1..2", False),
        (".1.2", False),
        ("1.2.", False),
        ("1.2.a", False),
        ("1.2/../3", False),
        ("1.2\n", False),
        ("1.٢", False),
    ],
)
def test_uids(value: str, expected: bool) -> None:
    assert is_uid(value) is expected


def test_registered_uids() -> None:
    assert is_standard_uid(CT)
    assert is_standard_uid("1.2.840.10008.1.2.1")
    assert not is_standard_uid("1.2.840.10008.5.1.4.1.1.2.99999")
    assert not is_standard_uid("1.2.3")


@pytest.mark.parametrize(
    ("uid", "encoding", "pixels"),
    [
        ("1.2.840.10008.1.2", IMPLICIT_LITTLE_ENDIAN, Pixels.NATIVE),
        ("1.2.840.10008.1.2.1", EXPLICIT_LITTLE_ENDIAN, Pixels.NATIVE),
        ("1.2.840.10008.1.2.1.99", EXPLICIT_LITTLE_ENDIAN, Pixels.NATIVE),
        ("1.2.840.10008.1.2.2", EXPLICIT_BIG_ENDIAN, Pixels.NATIVE),
        ("1.2.840.10008.1.2.4.50", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG),
        ("1.2.840.10008.1.2.4.70", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG),
        ("1.2.840.10008.1.2.4.80", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG_LS),
        ("1.2.840.10008.1.2.4.90", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG_2000),
        ("1.2.840.10008.1.2.4.202", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG_2000),
        ("1.2.840.10008.1.2.4.110", EXPLICIT_LITTLE_ENDIAN, Pixels.JPEG_XL),
        ("1.2.840.10008.1.2.5", EXPLICIT_LITTLE_ENDIAN, Pixels.RLE),
        ("1.2.840.10008.1.2.4.102", EXPLICIT_LITTLE_ENDIAN, Pixels.VIDEO),
        ("1.2.840.10008.1.2.4.94", EXPLICIT_LITTLE_ENDIAN, Pixels.REFERENCED),
    ],
)
def test_transfer_syntaxes(uid: str, encoding: object, pixels: Pixels) -> None:
    syntax = transfer_syntax(uid)
    assert (syntax.uid, syntax.encoding, syntax.pixels) == (uid, encoding, pixels)
    assert syntax.deflated is uid.endswith(".99")


@pytest.mark.parametrize("uid", ["1.2.840.113619.5.2", "1.2.3", "1.2.840.10008.1.2.4.999", CT])
def test_unknown_transfer_syntaxes_are_not_supported(uid: str) -> None:
    with pytest.raises(UnsupportedKind):
        transfer_syntax(uid)


def test_part10_puts_a_file_around_a_dataset() -> None:
    dataset = elements(patient=b"A-7")
    content = part10(
        dataset,
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    assert content.endswith(dataset)
    assert open_part10(content).start == len(content) - len(dataset)
    meta = pydicom.dcmread(io.BytesIO(content)).file_meta
    assert meta.FileMetaInformationGroupLength == len(content) - len(dataset) - 144
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert "SourceApplicationEntityTitle" not in meta
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
    assert read_identity(content).patient_id == "A-7"


def test_the_same_dataset_is_the_same_file_whatever_its_meta_information() -> None:
    dataset = elements(patient=b"A-7")
    ours = part10(dataset, sop_class_uid=CT, sop_instance_uid="1.2.3.4", transfer_syntax_uid="1.2.840.10008.1.2.1")
    theirs = pydicom.dcmread(io.BytesIO(ours))
    theirs.preamble = b"MZ".ljust(128, b"\1")
    theirs.file_meta.SourceApplicationEntityTitle = "SOMEWHERE"
    written = io.BytesIO()
    theirs.save_as(written)
    assert written.getvalue() != ours
    assert with_own_meta(written.getvalue(), read_identity(written.getvalue())) == ours


def test_part10_takes_no_other_uid() -> None:
    with pytest.raises(Malformed):
        part10(b"", sop_class_uid=CT, sop_instance_uid="../1", transfer_syntax_uid="1.2.840.10008.1.2")


def test_a_patient_without_an_id_is_a_patient_of_one_study() -> None:
    def identity(**values: bytes) -> Identity:
        return patient_identity(read_identity_of_dataset(elements(**values), "1.2.840.10008.1.2.1"))

    assert identity(patient=b"A", issuer=b"H") == Identity(PseudonymKind.PATIENT, "A", "H")
    assert identity() == identity(instance=b"1.2.3.5") == Identity(PseudonymKind.PATIENT, "1.2.3", NO_PATIENT_ID)
    assert identity() != identity(study=b"1.2.4")
