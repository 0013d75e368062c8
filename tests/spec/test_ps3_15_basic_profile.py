"""PS3.15 annex E: one row of the standard, or of our own rules around it, is one row of a table here."""

import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary

from osler.deidentify.dicom import SafeInstance, deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.standards.confidentiality import ACTIONS, EDITION, ProfileRow, basic_action, image_types, profile_rows
from osler.standards.dicom import IMPLEMENTATION_CLASS_UID, is_uid, part10
from osler.standards.dicom_stream import (
    EXPLICIT_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    dictionary,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
SHARED_GROUPS, PIXEL_VALUES = 0x52009229, 0x00289145
CANARY_UID = "1.2.826.0.1.3680043.4242.77.1"
CANARIES = {
    "UI": CANARY_UID.encode(),
    "DA": b"19570312",
    "TM": b"031415.926",
    "DT": b"19570312031415",
    "AS": b"042Y",
    "DS": b"42.4242",
    "IS": b"424242",
    "CS": b"KANARIE",
}
BASE = {
    0x00080016: ("UI", CT.encode()),
    0x00080018: ("UI", b"1.2.3.4"),
    0x00080060: ("CS", b"CT"),
    0x0020000D: ("UI", b"1.2.3"),
    0x0020000E: ("UI", b"1.2.3.1"),
}


def element(tag: int, vr: str, value: bytes) -> bytes:
    return EXPLICIT_LITTLE_ENDIAN.element(tag, vr, value)


def sequence(tag: int, *items: bytes) -> bytes:
    header = EXPLICIT_LITTLE_ENDIAN.header
    inner = b"".join(header(ITEM, "", UNDEFINED_LENGTH) + item + header(ITEM_DELIMITATION, "", 0) for item in items)
    return header(tag, "SQ", UNDEFINED_LENGTH) + inner + header(SEQUENCE_DELIMITATION, "", 0)


def planted(tag: int, vr: str, value: bytes, *, depth: int) -> bytes:
    """Make a CT header with one more element, in the dataset itself or two sequences deep."""
    encoded = {known: element(known, *content) for known, content in BASE.items()}
    whole = sequence(tag, element(0x00100010, "PN", value)) if vr == "SQ" else element(tag, vr, value)
    if depth:
        encoded[SHARED_GROUPS] = sequence(SHARED_GROUPS, sequence(PIXEL_VALUES, whole))
    else:
        encoded[tag] = whole
    return part10(
        b"".join(encoded[t] for t in sorted(encoded)),
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )


def deidentified(content: bytes) -> SafeInstance:
    return deidentify_instance(content, pseudonyms=EphemeralPseudonyms())


def found(safe: SafeInstance, tag: int, *, depth: int) -> pydicom.DataElement | None:
    dataset = pydicom.dcmread(io.BytesIO(safe.content))
    if depth:
        dataset = dataset[SHARED_GROUPS].value[0][PIXEL_VALUES].value[0]
    return dataset.get(tag)


# ----------------------------------------------------------------------------------------------------- the table


def test_the_table_is_well_formed() -> None:
    rows = profile_rows()
    patterns = [row.pattern for row in rows]
    assert EDITION == "2026c"
    assert len(rows) == 656
    assert patterns == sorted(patterns)
    assert len(set(patterns)) == 656
    for row in rows:
        assert re.fullmatch(r"[0-9A-F]{8}|50X{6}|60XX[34]000|G{4}E{4}", row.pattern)
        assert row.basic in ACTIONS - {"K", "C"}
        assert set(row.options.values()) <= {"K", "C"}
        if not set(row.pattern) & set("GX") and (known := DicomDictionary.get(int(row.pattern, 16))):
            assert row.keyword == known[4]


def test_every_option_of_the_standard_has_a_column() -> None:
    assert {option for row in profile_rows() for option in row.options} == {
        "retain-safe-private",
        "retain-uids",
        "retain-device-identity",
        "retain-institution-identity",
        "retain-patient-characteristics",
        "retain-longitudinal-full-dates",
        "retain-longitudinal-modified-dates",
        "clean-descriptors",
        "clean-structured-content",
        "clean-graphics",
    }


def test_the_types_are_well_formed() -> None:
    assert all(set(types) <= {"1", "1C", "2", "2C", ""} and any(types) for types in image_types().values())
    assert all(tag in DicomDictionary for tag in image_types())
    assert image_types()[0x00100020] == ("2", "1")


def tags_of(row: ProfileRow) -> tuple[int, ...]:
    if row.pattern == "GGGGEEEE":
        return (0x00090010, 0x00091001, 0x7FE11010)
    if row.pattern.startswith("50X"):
        return (0x50000005, 0x501E3000)
    return tuple(
        int(row.pattern.replace("XX", repeat), 16) for repeat in (("00", "1E") if "X" in row.pattern else ("",))
    )


@pytest.mark.parametrize("row", profile_rows(), ids=lambda row: f"{row.pattern}-{row.basic}")
def test_each_row_at_each_depth(row: ProfileRow) -> None:
    for tag in tags_of(row):
        vr = dictionary().get(tag, "LO")[:2]
        value = CANARIES.get(vr, b"KANARIENVOGEL^Q")
        for depth in (0, 2):
            safe = deidentified(planted(tag, vr, value, depth=depth))
            assert value not in safe.content
            outcome = outcome_of(found(safe, tag, depth=depth), value)
            assert outcome in allowed(row, tag), f"{row.pattern} at depth {depth}: {outcome}"


def outcome_of(element: pydicom.DataElement | None, value: bytes) -> str:
    if element is None:
        return "X"
    if element.VR == "UI" and is_uid(str(element.value)):
        return "U"
    return "Z" if element.is_empty or element.value == b"" else "D"


def allowed(row: ProfileRow, tag: int) -> set[str]:
    if tag >> 16 < 8:
        return {"X"}  # an element of the file meta information, a command or a directory does not belong into a dataset
    letters = set(row.basic) & set("XZDU")
    if row.basic == "X/Z/U*":
        letters = {"D"}  # the sequence stays, with the UIDs in it replaced
    if tag in (0x00100010, 0x00080050):
        letters.add("D")  # the pseudonym is the dummy that E.1.1 allows for Z
    if row.keyword == "AnnotationGroupUID":
        letters.add("U")  # a dummy UID that is consistent
    return letters


def test_what_the_table_leaves_open_keeps_the_images_conformant() -> None:
    """A type 1 attribute is never emptied, a type 2 attribute never removed, where the row allows it."""
    strength = {"": "XZD", "2": "ZD", "2C": "ZD", "1": "D", "1C": "D"}
    for row in profile_rows():
        if "/" not in row.basic or "U" in row.basic or row.keyword == "PatientID":
            continue
        tag = int(row.pattern, 16)
        vr = dictionary()[tag][:2]
        if vr == "SQ":
            continue
        for depth in (0, 2):
            kind = image_types().get(tag, ("", ""))[bool(depth)]
            safe = deidentified(planted(tag, vr, CANARIES.get(vr, b"KANARIE"), depth=depth))
            outcome = outcome_of(found(safe, tag, depth=depth), b"")
            possible = [letter for letter in strength[kind] if letter in row.basic] or [row.basic[-1]]
            assert outcome == possible[0], f"{row.pattern} at depth {depth}"


# ----------------------------------------------------------------------------------------- the rules around the table

KEPT, REMOVED, EMPTIED, DUMMY, MAPPED = "kept", "X", "Z", "D", "U"
RULES = [
    ("number, binary", 0x00280010, "US", b"\x00\x02", KEPT),
    ("more numbers than the dictionary allows", 0x00280010, "US", b"SMITHS", REMOVED),
    ("text in the place of numbers", 0x00189376, "US", b"JohnSmith!", REMOVED),
    ("text in the place of a table", 0x00281201, "OW", b"JohnSmith^1957", DUMMY),
    ("number, decimal string", 0x00180050, "DS", b"1.25", KEPT),
    ("decimal string that is not one, type 2", 0x00180050, "DS", b"SMITH", EMPTIED),
    ("integer string", 0x00200013, "IS", b"12", KEPT),
    ("integer string that is not one, type 1", 0x00200013, "IS", b"12a", DUMMY),
    ("code string", 0x00185101, "CS", b"PA", KEPT),
    ("code string in lower case", 0x00185101, "CS", b"Smith", EMPTIED),
    ("code string with a date in it", 0x00185101, "CS", b"PA 19570312", EMPTIED),
    ("code string that is a name", 0x00185101, "CS", b"SMITH", EMPTIED),
    ("code string that is a name, in two words", 0x00180022, "CS", b"SMITH JOHN", EMPTIED),
    ("code string that is a number", 0x00180022, "CS", b"7391846205", EMPTIED),
    ("code strings of the standard", 0x00080008, "CS", b"DERIVED\\SECONDARY\\MIN IP\\CT_SOM5 SPI", KEPT),
    ("integer string beyond what an integer string holds", 0x00200012, "IS", b"7391846205", EMPTIED),
    ("body part of PS3.16", 0x00180015, "CS", b"CHEST", KEPT),
    ("body part in words of PS3.16", 0x00180015, "CS", b"UPPER LEG_FOOT", KEPT),
    ("body part as devices write it", 0x00180015, "CS", b"Chest PA", KEPT),
    ("body part of nobody's list", 0x00180015, "CS", b"JOHN SMITH", EMPTIED),
    ("known text", 0x00080070, "LO", b"SIEMENS", KEPT),
    ("unknown text, type 1 somewhere", 0x00080070, "LO", b"Dr. Smith's own", DUMMY),
    ("known kernel", 0x00181210, "SH", b"B30f", KEPT),
    ("unknown kernel", 0x00181210, "SH", b"for Mr Smith", REMOVED),
    ("free text, type 3", 0x00181006, "LO", b"Smith", REMOVED),
    ("text of type 3 in a retired attribute", 0x00182002, "SH", b"Smith", REMOVED),
    ("attribute that no dictionary has", 0x00280009 + 0xEE00, "LO", b"Smith", REMOVED),
    ("other value representation than the dictionary's", 0x00280010, "LO", b"Smith", REMOVED),
    ("binary of unknown content", 0x00282000, "OB", b"profile of Smith", REMOVED),
    ("binary of the image", 0x00281201, "OW", b"\x01\x02\x03\x04", KEPT),
    ("tag", 0x00280009, "AT", b"\x18\x00\x63\x10", KEPT),
    ("registered UID", 0x00081150, "UI", CT.encode(), KEPT),
    ("UID of a table that is registered", 0x00281199, "UI", b"1.2.840.10008.1.5.1", KEPT),
    ("UID outside the table", 0x00081195 + 0, "UI", CANARY_UID.encode(), MAPPED),
    ("UID that is not one", 0x00200052, "UI", b"SMITH", REMOVED),
    ("group length", 0x00180000, "UL", b"\x10\0\0\0", REMOVED),
    ("character set", 0x00080005, "CS", b"ISO_IR 100", REMOVED),
    ("encrypted identity", 0x04000500, "SQ", b"Smith", REMOVED),
    ("where the pixels are", 0x00287FE0, "UR", b"https://smith", REMOVED),
]


@pytest.mark.parametrize(("name", "tag", "vr", "value", "expected"), RULES, ids=[rule[0] for rule in RULES])
def test_unknown_means_remove(name: str, tag: int, vr: str, value: bytes, expected: str) -> None:
    safe = deidentified(planted(tag, vr, value, depth=0))
    if expected == KEPT:
        assert element(tag, vr, value) in safe.content
    else:
        assert outcome_of(found(safe, tag, depth=0), value) == expected
        assert value not in safe.content or vr == "UL"


def test_of_several_code_strings_the_one_that_is_a_name_loses_its_place() -> None:
    safe = deidentified(planted(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\SMITH JOHN\\AXIAL", depth=0))
    image_type = pydicom.dcmread(io.BytesIO(safe.content)).ImageType
    assert image_type == ["ORIGINAL", "PRIMARY", "UNKNOWN", "AXIAL"]
    assert b"SMITH" not in safe.content


CODES = [
    (
        "known code, its meaning is written anew",
        b"71388002",
        b"SCT",
        b"of Mr Smith",
        ("71388002", "SCT", "Procedure (procedure)"),
    ),
    ("code that no context group has", b"44054006", b"SCT", b"of Mr Smith", ("44054006", "SCT", "44054006")),
    ("number without the check digit of its scheme", b"99999999", b"SCT", b"Smith", ("261665006", "SCT", "Unknown")),
    ("number of a patient as a code", b"7391846205", b"SCT", b"Smith", ("261665006", "SCT", "Unknown")),
    ("LOINC code", b"2951-2", b"LN", b"Smith", ("2951-2", "LN", "2951-2")),
    ("LOINC code with a wrong check digit", b"2951-3", b"LN", b"Smith", ("261665006", "SCT", "Unknown")),
    ("name as a unit", b"SmithJohn", b"UCUM", b"Smith", ("261665006", "SCT", "Unknown")),
    ("number as a code of DICOM", b"739184", b"DCM", b"Smith", ("261665006", "SCT", "Unknown")),
    ("code of a local scheme", b"SMITH", b"99LOCAL", b"Smith", ("261665006", "SCT", "Unknown")),
    ("value without the form of its scheme", b"SMITH", b"SCT", b"Smith", ("261665006", "SCT", "Unknown")),
    ("code without a value", b"", b"DCM", b"Smith", ("261665006", "SCT", "Unknown")),
]


@pytest.mark.parametrize(("name", "value", "scheme", "meaning", "expected"), CODES, ids=[code[0] for code in CODES])
def test_coded_concepts(name: str, value: bytes, scheme: bytes, meaning: bytes, expected: tuple[str, ...]) -> None:
    item = (element(0x00080100, "SH", value) if value else b"") + element(0x00080102, "SH", scheme)
    item += element(0x00080104, "LO", meaning) + element(0x00080119, "UC", b"Smith, long")
    whole = {tag: element(tag, *content) for tag, content in BASE.items()}
    whole[0x00081032] = sequence(0x00081032, item)
    safe = deidentified(
        part10(
            b"".join(whole[tag] for tag in sorted(whole)),
            sop_class_uid=CT,
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
    )
    (written,) = pydicom.dcmread(io.BytesIO(safe.content)).ProcedureCodeSequence
    assert (written.CodeValue, written.CodingSchemeDesignator, written.CodeMeaning) == expected
    assert "LongCodeValue" not in written
    assert b"Smith" not in safe.content


# ------------------------------------------------------------------------------------------------ the whole file


def test_the_file_says_that_and_how_it_was_deidentified() -> None:
    dataset = pydicom.dcmread(io.BytesIO(deidentified(planted(0x00100010, "PN", b"Smith", depth=0)).content))
    assert dataset.PatientIdentityRemoved == "YES"
    text, seal = dataset.DeidentificationMethod
    assert "PS3.15 2026c" in text
    assert re.fullmatch("seal [0-9a-f]{32}", seal)
    (code,) = dataset.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert code.CodeMeaning == "Basic Application Confidentiality Profile"
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"


def test_the_patient_is_a_pseudonym_even_where_there_was_none() -> None:
    safe = deidentified(planted(0x00100040, "CS", b"F", depth=0))
    dataset = pydicom.dcmread(io.BytesIO(safe.content))
    assert dataset.PatientID == dataset.PatientName == safe.patient
    assert dataset.PatientSex == ""


def test_file_meta_is_written_anew_and_the_preamble_is_empty() -> None:
    content = bytearray(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    content[:128] = b"MZ this program SMITH".ljust(128, b"!")
    assert b"CLUNIE1" in content[:600]
    safe = deidentified(bytes(content))
    meta = pydicom.dcmread(io.BytesIO(safe.content)).file_meta
    assert safe.content[:132] == b"\0" * 128 + b"DICM"
    assert [element.keyword for element in meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]
    assert meta.MediaStorageSOPInstanceUID == safe.sop_instance_uid
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def test_references_follow_what_they_refer_to() -> None:
    """UIDs map consistently within an instance, across instances and within references (E.1-1a, action U)."""
    pseudonyms = EphemeralPseudonyms()
    one = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
    other = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    other.ReferencedImageSequence = other.SourceImageSequence = [reference]
    contents = []
    for dataset in (one, other):
        stream = io.BytesIO()
        dataset.save_as(stream)
        contents.append(stream.getvalue())
    first, second = (deidentify_instance(content, pseudonyms=pseudonyms) for content in contents)
    written = pydicom.dcmread(io.BytesIO(second.content))
    assert first.study_instance_uid == second.study_instance_uid != str(one.StudyInstanceUID)
    assert first.patient == second.patient
    assert first.sop_instance_uid != second.sop_instance_uid
    for keyword in ("ReferencedImageSequence", "SourceImageSequence"):
        (item,) = written[keyword].value
        assert item.ReferencedSOPInstanceUID == first.sop_instance_uid
        assert item.ReferencedSOPClassUID == one.SOPClassUID


@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm"),
        *("MR_small_jp2klossless.dcm", "emri_small.dcm", "eCT_Supplemental.dcm", "RG1_UNCR.dcm", "RG3_J2KR.dcm"),
    ],
)
def test_dciodvfy_finds_no_new_error(name: str, need: Callable[..., str], tmp_path: Path) -> None:
    beside_python = str(Path(sys.executable).parent)
    dciodvfy = shutil.which("dciodvfy", path=beside_python) or need("dciodvfy")
    source = Path(get_testdata_file(name))
    written = tmp_path / "safe.dcm"
    written.write_bytes(deidentified(source.read_bytes()).content)
    assert not errors_of(dciodvfy, written) - errors_of(dciodvfy, source)


def errors_of(dciodvfy: str, path: Path) -> Counter[str]:
    said = subprocess.run([dciodvfy, "-new", path], capture_output=True, timeout=60, check=False).stderr
    lines = said.decode("latin-1").splitlines()
    return Counter(re.sub(r"<[0-9.]+>", "<uid>", line) for line in lines if line.startswith("Error"))


def test_a_row_of_the_table_can_be_asked_for() -> None:
    assert basic_action(0x00100010) == "Z"
    assert basic_action(0x00091001) == "X"
    assert basic_action(0x60023000) == "X"
    assert basic_action(0x00280010) is None
