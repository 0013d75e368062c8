"""PS3.15 E.3: for each option each row of table E.1-1 that it changes, and that it changes no other."""

import io
from collections.abc import Iterable

import pydicom
import pytest

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.dicom.options import CODES, Option, options_of
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import ConfigError
from osler.standards.confidentiality import ProfileRow, profile_rows, safe_private
from osler.standards.dicom import part10
from osler.standards.dicom_stream import dictionary
from spec.test_ps3_15_basic_profile import (
    BASE,
    CANARIES,
    CANARY_UID,
    CT,
    PIXEL_VALUES,
    SHARED_GROUPS,
    allowed,
    element,
    found,
    outcome_of,
    planted,
    sequence,
)

VALID = CANARIES | {
    "CS": b"M",
    "US": b"\1\0",
    "DT": b"19570312031415.926+0100",
    "SH": b"+0100",  # of the timezone, and no less a text
    "UI": CANARY_UID.encode(),
}
"""A value of the form that an attribute of a value representation has."""

TEXT = b"CHEST KANARIE"
OPTIONS = sorted({option for row in profile_rows() for option in row.options if not set(row.pattern) & set("GX")})
MANDATORY = frozenset({0x0040A160, 0x00620005, 0x30060002, 0x300A0002, 0x00700002, 0x00700080})
"""Must have a value in the objects that are let through under an option, so that the milder letter would not do."""

MANDATORY_EMPTY = frozenset({0x00081070, 0x300600A4, 0x300A00B2})
BINARY = frozenset({0x0016002B, 0x0016004B, 0x00340007, 0x04000310})
"""Bytes without a form that could be judged: an option that keeps or cleans them removes them."""


OF_OTHER_RULES = {
    "clean-graphics": {int(row.pattern, 16) for row in profile_rows() if row.pattern.startswith("0070")},
    "clean-descriptors": {0x00420011},  # an encapsulated document, which is cleaned by what it is
    "retain-uids": {
        tag for tag, vr in dictionary().items() if vr == "UI"
    },  # none is replaced: it may refer to a kept one
}
"""Rows that an option changes though the table does not say so."""


def with_options(content: bytes, *options: str, pseudonyms: EphemeralPseudonyms | None = None) -> pydicom.Dataset:
    safe = deidentify_instance(content, pseudonyms=pseudonyms or EphemeralPseudonyms(), options=options)
    return pydicom.dcmread(io.BytesIO(safe.content))


def changed(option: str) -> list[ProfileRow]:
    return [row for row in profile_rows() if option in row.options and not set(row.pattern) & set("GX")]


CELLS = [(option, row) for option in OPTIONS for row in changed(option)]


@pytest.mark.parametrize(("option", "row"), CELLS, ids=[f"{option}-{row.pattern}" for option, row in CELLS])
def test_each_row_that_an_option_changes(option: str, row: ProfileRow) -> None:
    tag = int(row.pattern, 16)
    vr = dictionary()[tag][:2]
    for depth in (0, 2):
        expected, value = expectation(option, row.options[option], tag, vr)
        safe = deidentify_instance(
            planted(tag, vr, value, depth=depth), pseudonyms=EphemeralPseudonyms(), options=[option]
        )
        written = found(safe, tag, depth=depth)
        outcome = result_of(written, vr, value)
        assert outcome == expected or (expected == "basic" and outcome in allowed(row, tag)), f"at depth {depth}"
        if expected != "K":
            assert b"KANARIE" not in safe.content
            assert CANARY_UID.encode() not in safe.content


def expectation(option: str, action: str, tag: int, vr: str) -> tuple[str, bytes]:
    """Return what is to become of a value, and the value."""
    if tag >> 16 < 8 or tag in BINARY:
        return "basic", VALID.get(vr, b"\1\2\3\4")
    if vr == "SQ":
        return "items", b"KANARIE^Q"
    if option == "retain-longitudinal-modified-dates":
        return ("moved" if vr in ("DA", "DT") else "K"), VALID[vr]
    if action == "C":
        return "C", TEXT
    return "K", VALID.get(vr, TEXT)


def result_of(written: pydicom.DataElement | None, vr: str, value: bytes) -> str:
    if written is not None and written.VR == "SQ":
        return "items" if len(written.value) == 1 else "empty sequence"
    if written is not None and not written.is_empty:
        text = str(written.value).encode()
        if text.upper().startswith(b"CHEST") and b"KANARIE" not in text:
            return "C"
        if text == value or (vr in ("DS", "IS", "US") and float(written.value) == number(vr, value)):
            return "K"
        if vr in ("DA", "DT") and len(text) == len(value) and text[8:] == value[8:] and not text.startswith(b"1900"):
            return "moved"
    return outcome_of(written, value)


def number(vr: str, value: bytes) -> float:
    return int.from_bytes(value, "little") if vr == "US" else float(value)


def test_the_cells_are_those_of_the_standard() -> None:
    counts = {option: len(changed(option)) for option in OPTIONS}
    assert counts == {
        "clean-descriptors": 125,
        "clean-graphics": 1,
        "clean-structured-content": 3,
        "retain-device-identity": 57,
        "retain-institution-identity": 10,
        "retain-longitudinal-full-dates": 165,
        "retain-longitudinal-modified-dates": 165,
        "retain-patient-characteristics": 13,
        "retain-uids": 59,
    }


@pytest.mark.parametrize("option", list(Option))
def test_a_row_that_no_option_in_force_changes_is_as_in_the_basic_profile(option: str) -> None:
    rows = [row for row in profile_rows() if option not in row.options and not set(row.pattern) & set("GX")]
    values = {tag: VALID.get(vr, TEXT) for tag, vr in ((int(r.pattern, 16), vr_of(r)) for r in rows) if vr != "SQ"}
    for depth in (0, 2):
        content, pseudonyms = all_planted(values, depth=depth), EphemeralPseudonyms()
        basic = at(with_options(content, pseudonyms=pseudonyms), depth)
        ours = at(with_options(content, option, pseudonyms=pseudonyms), depth)
        for row in rows:
            tag = int(row.pattern, 16)
            if tag not in values or tag in OF_OTHER_RULES.get(option, ()):
                continue
            if tag in MANDATORY | MANDATORY_EMPTY:
                assert outcome_of(ours.get(tag), values[tag]) in allowed(row, tag) | {"D"}, row.pattern
                assert tag not in ours or b"KANARIE" not in str(ours[tag].value).encode()
            else:
                assert ours.get(tag) == basic.get(tag), f"{row.pattern} at depth {depth}"


FOOT = element(0x00180015, "CS", b"FOOT")
"""Shows no face, so that the option about faces has nothing to refuse."""


def vr_of(row: ProfileRow) -> str:
    return dictionary().get(int(row.pattern, 16), "LO")[:2]


def all_planted(values: dict[int, bytes], *, depth: int) -> bytes:
    known = dictionary()
    tags = {tag: element(tag, known.get(tag, "LO")[:2], value) for tag, value in values.items() if tag >> 16 >= 8}
    encoded = {tag: element(tag, *content) for tag, content in BASE.items()}
    encoded[0x00180015] = FOOT
    if depth:
        inner = b"".join(tags[tag] for tag in sorted(tags))
        encoded[SHARED_GROUPS] = sequence(SHARED_GROUPS, sequence(PIXEL_VALUES, inner))
    else:
        encoded = tags | encoded
    return file_of(encoded)


def file_of(encoded: dict[int, bytes]) -> bytes:
    return part10(
        b"".join(encoded[tag] for tag in sorted(encoded)),
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )


def at(dataset: pydicom.Dataset, depth: int) -> pydicom.Dataset:
    return dataset[SHARED_GROUPS].value[0][PIXEL_VALUES].value[0] if depth else dataset


# ------------------------------------------------------------------------------------------------- single options

WRONG = [
    ("retain-longitudinal-full-dates", 0x00080020, "DA", b"SMITH"),
    ("retain-longitudinal-full-dates", 0x00080020, "DA", b"19570312\\SMITH"),
    ("retain-longitudinal-full-dates", 0x00080030, "TM", b"SMITH"),
    ("retain-longitudinal-full-dates", 0x0008002A, "DT", b"1957 SMITH"),
    ("retain-longitudinal-full-dates", 0x00080201, "SH", b"SMITH"),
    ("retain-longitudinal-full-dates", 0x00080020, "LO", b"SMITH"),
    ("retain-longitudinal-modified-dates", 0x00080020, "DA", b"SMITH"),
    ("retain-longitudinal-modified-dates", 0x00080020, "DA", b"19571399"),
    ("retain-longitudinal-modified-dates", 0x00080030, "TM", b"SMITH"),
    ("retain-longitudinal-modified-dates", 0x0008002A, "DT", b"1957"),
    ("retain-longitudinal-modified-dates", 0x0008002A, "DT", b"1957 SMITH"),
    ("retain-patient-characteristics", 0x00101010, "AS", b"SMITH"),
    ("retain-patient-characteristics", 0x00101020, "DS", b"SMITH"),
    ("retain-patient-characteristics", 0x00100040, "CS", b"SMITH"),
    ("retain-device-identity", 0x00181002, "UI", b"SMITH"),
    ("retain-uids", 0x00080014, "UI", b"SMITH"),
]


@pytest.mark.parametrize(("option", "tag", "vr", "value"), WRONG)
def test_what_has_not_the_form_of_its_attribute_is_not_kept(option: str, tag: int, vr: str, value: bytes) -> None:
    for depth in (0, 2):
        safe = deidentify_instance(
            planted(tag, vr, value, depth=depth), pseudonyms=EphemeralPseudonyms(), options=[option]
        )
        written = found(safe, tag, depth=depth)
        assert b"SMITH" not in safe.content
        assert written is None or written.is_empty or str(written.value).startswith(("000", "1900", "UNKNOWN"))


AGES = [("089Y", "089Y"), ("090Y", "090Y"), ("093Y", "090Y"), ("117Y", "090Y"), ("099M", "099M"), ("003D", "003D")]


@pytest.mark.parametrize(("age", "expected"), AGES)
def test_every_age_over_89_years_is_90(age: str, expected: str) -> None:
    content = planted(0x00101010, "AS", age.encode(), depth=0)
    assert with_options(content, "retain-patient-characteristics").PatientAge == expected
    assert "PatientAge" not in with_options(content) or with_options(content).PatientAge != age


@pytest.mark.parametrize(("attribute", "vr"), safe_private().items(), ids=lambda part: str(part))
def test_safe_private_attributes_stay_with_their_creator(attribute: tuple[str, int, int], vr: str) -> None:
    creator, group, low = attribute
    block, other = 0x11, 0x12
    kept = b"\0" * 8 if vr in ("FD", "FL", "US", "SS", "UL", "SL") else b"1.25" if vr == "DS" else b"12"
    kept = kept[: {"FL": 4, "UL": 4, "SL": 4, "US": 2, "SS": 2}.get(vr, len(kept))]
    elements = {
        group << 16 | block: ("LO", creator.encode()),
        group << 16 | other: ("LO", b"SMITH PRIVATE"),
        group << 16 | block << 8 | low: (vr, kept),
        group << 16 | other << 8 | low: (vr, kept),
        group << 16 | block << 8 | 0xFE: ("LO", b"SMITH"),
    }
    encoded = {tag: element(tag, *content) for tag, content in (BASE | elements).items()}
    assert not [one for one in with_options(file_of(encoded)) if one.tag.is_private]
    safe = with_options(file_of(encoded), "retain-safe-private")
    private = {int(one.tag) for one in safe if one.tag.is_private}
    assert private == {group << 16 | block, group << 16 | block << 8 | low}
    assert safe[group, block].value == creator


def test_a_safe_private_attribute_that_holds_no_number_goes() -> None:
    (creator, group, low), vr = next((key, vr) for key, vr in safe_private().items() if vr == "DS")
    encoded = {tag: element(tag, *content) for tag, content in BASE.items()}
    encoded[group << 16 | 0x10] = element(group << 16 | 0x10, "LO", creator.encode())
    encoded[group << 16 | 0x1000 | low] = element(group << 16 | 0x1000 | low, vr, b"SMITH")
    safe = with_options(file_of(encoded), "retain-safe-private")
    assert (group << 16 | 0x1000 | low) not in safe


def test_a_private_creator_of_the_dataset_does_not_hold_in_an_item() -> None:
    (creator, group, low), vr = next((key, vr) for key, vr in safe_private().items() if vr == "DS")
    value = element(group << 16 | 0x1000 | low, vr, b"1.25")
    encoded = {tag: element(tag, *content) for tag, content in BASE.items()}
    encoded[SHARED_GROUPS] = sequence(SHARED_GROUPS, sequence(PIXEL_VALUES, value))
    encoded[group << 16 | 0x10] = element(group << 16 | 0x10, "LO", creator.encode())
    inner = at(with_options(file_of(encoded), "retain-safe-private"), 2)
    assert (group << 16 | 0x1000 | low) not in inner


def test_uids_that_are_retained_are_retained_in_the_file_meta_information_and_in_references() -> None:
    reference = sequence(0x00081140, element(0x00081155, "UI", CANARY_UID.encode()))
    encoded = {tag: element(tag, *content) for tag, content in BASE.items()} | {0x00081140: reference}
    safe = with_options(file_of(encoded), "retain-uids")
    assert safe.file_meta.MediaStorageSOPInstanceUID == safe.SOPInstanceUID == "1.2.3.4"
    assert (safe.StudyInstanceUID, safe.SeriesInstanceUID) == ("1.2.3", "1.2.3.1")
    assert safe.ReferencedImageSequence[0].ReferencedSOPInstanceUID == CANARY_UID
    without = with_options(file_of(encoded))
    assert CANARY_UID not in str(without)
    assert without.SOPInstanceUID != "1.2.3.4"


UIDS = [
    (int(row.pattern, 16), depth, row.options.get("retain-uids") == "K")
    for row in profile_rows()
    if row.basic == "U" and row.keyword and dictionary().get(int(row.pattern, 16)) == "UI" and row.pattern >= "0008"
    for depth in (0, 1)
    if depth or int(row.pattern, 16) not in BASE  # the identity of the instance, which the test above looks at
]


@pytest.mark.parametrize(("tag", "depth", "stays"), UIDS)
def test_a_uid_is_retained_where_the_column_says_so_and_only_there(tag: int, depth: int, stays: bool) -> None:
    content = planted(tag, "UI", CANARY_UID.encode(), depth=depth)
    safe = deidentify_instance(content, pseudonyms=EphemeralPseudonyms(), options=["retain-uids"])
    assert (CANARY_UID.encode() in safe.content) is stays


@pytest.mark.parametrize(
    ("tag", "stays"),
    [
        (0x0018991E, True),  # the table has no row for it
        (0x00091001, False),  # private
        (0x00189FFE, False),  # in no dictionary
    ],
)
def test_a_uid_that_the_table_does_not_know_is_retained_when_the_dictionary_does(tag: int, stays: bool) -> None:
    content = planted(tag, "UI", CANARY_UID.encode(), depth=0)
    made = [
        deidentify_instance(content, pseudonyms=EphemeralPseudonyms(), options=options).content
        for options in ([], ["retain-uids"])
    ]
    assert [CANARY_UID.encode() in one for one in made] == [False, stays]


def test_dates_that_one_option_keeps_and_another_moves_are_moved() -> None:
    """What is retained as a device's own would give the days away by which the other dates are moved."""
    device, moved_dates = "retain-device-identity", "retain-longitudinal-modified-dates"
    rows = [row for row in changed(device) if moved_dates in row.options and vr_of(row) in ("DA", "DT")]
    assert len(rows) == 8
    for row in rows:
        tag, vr = int(row.pattern, 16), vr_of(row)
        for options, expected in (((device, moved_dates), "moved"), ((device,), "K")):
            written = with_options(planted(tag, vr, VALID[vr], depth=0), *options).get(tag)
            assert result_of(written, vr, VALID[vr]) == expected, row.pattern


# --------------------------------------------------------------------------------------------------- what is said

PIXELS = {
    tag: element(tag, vr, value)
    for tag, vr, value in (
        (0x00280002, "US", b"\1\0"),
        (0x00280004, "CS", b"MONOCHROME2"),
        (0x00280010, "US", b"\x40\0"),
        (0x00280011, "US", b"\x40\0"),
        (0x00280100, "US", b"\x10\0"),
        (0x00280101, "US", b"\x0c\0"),
        (0x00280102, "US", b"\x0b\0"),
        (0x00280103, "US", b"\0\0"),
        (0x7FE00010, "OW", bytes(64 * 64 * 2)),
    )
}
COMBINATIONS = [
    (),
    *((option.value,) for option in Option),
    ("retain-uids", "clean-descriptors", "retain-longitudinal-modified-dates"),
    tuple(o.value for o in Option if o is not Option.RETAIN_LONGITUDINAL_FULL_DATES),
]


@pytest.mark.parametrize("options", COMBINATIONS, ids="+".join)
def test_the_codes_and_what_became_of_dates_are_said(options: tuple[str, ...]) -> None:
    encoded = {tag: element(tag, *content) for tag, content in BASE.items()} | {0x00180015: FOOT} | PIXELS
    safe = with_options(file_of(encoded), *options)
    codes = [(code.CodeValue, code.CodingSchemeDesignator) for code in safe.DeidentificationMethodCodeSequence]
    wanted = sorted(CODES[Option(option)].value for option in options)
    assert codes == [("113100", "DCM"), *((value, "DCM") for value in wanted)]
    assert safe.PatientIdentityRemoved == "YES"
    expected = {"retain-longitudinal-full-dates": "UNMODIFIED", "retain-longitudinal-modified-dates": "MODIFIED"}
    said = [expected[option] for option in options if option in expected]
    assert safe.LongitudinalTemporalInformationModified == (said[0] if said else "REMOVED")


def test_the_codes_are_those_of_cid_7050() -> None:
    assert {option.value: code.value for option, code in CODES.items()} == {
        "clean-pixel-data": "113101",
        "clean-recognizable-visual-features": "113102",
        "clean-graphics": "113103",
        "clean-structured-content": "113104",
        "clean-descriptors": "113105",
        "retain-longitudinal-full-dates": "113106",
        "retain-longitudinal-modified-dates": "113107",
        "retain-patient-characteristics": "113108",
        "retain-device-identity": "113109",
        "retain-uids": "113110",
        "retain-safe-private": "113111",
        "retain-institution-identity": "113112",
    }


REFUSED: list[Iterable[str]] = [
    ("retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"),
    ("retain-everything",),
    ("RETAIN-UIDS",),
    ("",),
]


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_exclude_each_other_or_are_none(options: Iterable[str]) -> None:
    with pytest.raises(ConfigError):
        options_of(options)
    with pytest.raises(ConfigError):
        with_options(planted(0x00100040, "CS", b"F", depth=0), *options)


CAME = [
    ("", "retain-longitudinal-full-dates", "UNMODIFIED"),
    ("MODIFIED", "retain-longitudinal-full-dates", "MODIFIED"),
    ("REMOVED", "retain-longitudinal-full-dates", "REMOVED"),
    ("REMOVED", "retain-longitudinal-modified-dates", "REMOVED"),
    ("UNMODIFIED", "retain-longitudinal-modified-dates", "MODIFIED"),
    ("SMITH", "retain-longitudinal-full-dates", "UNMODIFIED"),
]


@pytest.mark.parametrize(("came", "option", "said"), CAME)
def test_dates_that_came_modified_are_not_said_to_be_unmodified(came: str, option: str, said: str) -> None:
    content = planted(0x00280303, "CS", came.encode(), depth=0)
    assert with_options(content, option).LongitudinalTemporalInformationModified == said


LONG_NUMBERS = [
    ("a number of a patient as a weight", 0x00101030, b"7391846205", False),
    ("with a point", 0x00101030, b"739184620.5", False),
    ("among others", 0x00180050, b"1.0\\123456789", False),
    ("a weight", 0x00101030, b"70.5", True),
    ("more digits after the point than before", 0x00101030, b"70.512345678901", True),
    ("a dose in becquerel", 0x00181074, b"370000000", True),
    ("a window over pixels of 32 bits", 0x00281050, b"2147483648", True),
]


@pytest.mark.parametrize(("name", "tag", "value", "stays"), LONG_NUMBERS, ids=[row[0] for row in LONG_NUMBERS])
def test_a_decimal_with_nine_digits_measures_nothing(name: str, tag: int, value: bytes, stays: bool) -> None:
    options = ["retain-patient-characteristics"]
    safe = deidentify_instance(planted(tag, "DS", value, depth=0), pseudonyms=EphemeralPseudonyms(), options=options)
    assert (value in safe.content) is stays
