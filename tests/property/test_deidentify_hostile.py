"""Damaged and hostile files: a clear refusal or a valid result, in bounded time and memory, never another error."""

import io
import time
import tracemalloc
import zlib
from functools import cache
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from osler.deidentify.dicom import SafeInstance, deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused, InputRejected, Malformed
from osler.standards.dicom import part10, read_identity
from osler.standards.dicom_stream import (
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    MAX_DEPTH,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Encoding,
)

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
SECRET = b"Secret^Name"


def header_of(encoding: Encoding) -> bytes:
    return b"".join(
        encoding.element(*element)
        for element in (
            (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
            (0x00080018, "UI", b"1.2.3.4"),
            (0x0020000D, "UI", b"1.2.3"),
            (0x0020000E, "UI", b"1.2.3.1"),
        )
    )


def file(content: bytes, syntax: str = EXPLICIT) -> bytes:
    return part10(
        content, sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3.4", transfer_syntax_uid=syntax
    )


def outcome(content: bytes) -> str:
    """De-identify, and return what came of it; any error but a rejection goes through and fails the test."""
    try:
        safe = deidentify_instance(content, pseudonyms=EphemeralPseudonyms())
    except InputRejected as error:
        rejected: InputRejected = error
    else:
        return checked(safe)
    assert SECRET.decode() not in str(rejected)
    return type(rejected).__name__


def checked(safe: SafeInstance) -> str:
    assert SECRET not in safe.content
    assert pydicom.dcmread(io.BytesIO(safe.content)).SOPInstanceUID == safe.sop_instance_uid
    return "safe"


@cache
def small_file() -> bytes:
    """A whole file of every kind of structure: nested sequences, private elements, compressed pixels."""
    dataset = pydicom.dcmread(get_testdata_file("MR_small_jpeg_ls_lossless.dcm"))
    inner, outer = pydicom.Dataset(), pydicom.Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "113076", "DCM", SECRET.decode()
    outer.PurposeOfReferenceCodeSequence = [inner]
    dataset.SourceImageSequence = [outer]
    dataset.private_block(0x0009, SECRET.decode(), create=True).add_new(1, "LO", SECRET.decode())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def test_every_prefix_is_malformed_or_safe() -> None:
    whole = small_file()
    assert outcome(whole) == "safe"
    ends = [*range(0, 2600), *range(2600, len(whole), 37)]
    results = {end: outcome(whole[:end]) for end in ends}
    assert set(results.values()) <= {"Malformed", "DeidentificationRefused", "safe"}
    assert all(result == "Malformed" for end, result in results.items() if end < 132)


def test_a_cut_off_file_is_not_taken_at_the_door() -> None:
    whole = small_file()
    assert read_identity(whole).sop_class_uid
    with pytest.raises(Malformed):
        read_identity(whole[: len(whole) - 1000])


@settings(max_examples=400, deadline=None)
@given(at=st.integers(132, 2600), garbage=st.binary(min_size=1, max_size=8))
def test_garbage_anywhere_is_rejected_or_safe(at: int, garbage: bytes) -> None:
    whole = small_file()
    assert outcome(whole[:at] + garbage + whole[at + len(garbage) :]) in {
        *("Malformed", "UnsupportedKind", "DeidentificationRefused", "safe")
    }


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, DEFLATED, "1.2.840.10008.1.2.2"]))
def test_noise_is_malformed(noise: bytes, syntax: str) -> None:
    assert outcome(file(noise, syntax)) == "Malformed"
    assert outcome(noise) == "Malformed"


def nested(depth: int, encoding: Encoding, *, defined: bool = False) -> bytes:
    content = b""
    for _ in range(depth):
        if defined:
            content = encoding.header(ITEM, "", len(content)) + content
            content = encoding.header(0x00289145, "SQ", len(content)) + content
        else:
            content = encoding.header(ITEM, "", UNDEFINED_LENGTH) + content + encoding.header(ITEM_DELIMITATION, "", 0)
            content = encoding.header(0x00289145, "SQ", UNDEFINED_LENGTH) + content
            content += encoding.header(SEQUENCE_DELIMITATION, "", 0)
    return header_of(encoding) + content


@pytest.mark.parametrize("defined", [False, True])
@pytest.mark.parametrize(
    ("syntax", "encoding"), [(EXPLICIT, EXPLICIT_LITTLE_ENDIAN), (IMPLICIT, IMPLICIT_LITTLE_ENDIAN)]
)
def test_nesting_has_a_limit(syntax: str, encoding: Encoding, defined: bool) -> None:
    assert outcome(file(nested(MAX_DEPTH, encoding, defined=defined), syntax)) == "safe"
    assert outcome(file(nested(MAX_DEPTH + 1, encoding, defined=defined), syntax)) == "Malformed"
    assert outcome(file(nested(500, encoding, defined=defined), syntax)) == "Malformed"


PLAIN = EXPLICIT_LITTLE_ENDIAN
OPEN_SEQUENCE = PLAIN.header(0x00289145, "SQ", UNDEFINED_LENGTH)
OPEN_ITEM = PLAIN.header(ITEM, "", UNDEFINED_LENGTH)
OPEN_PIXELS = PLAIN.header(0x7FE00010, "OB", UNDEFINED_LENGTH)
FALSE_LENGTHS = [
    ("element longer than the file", PLAIN.header(0x00289999, "UT", 0x7FFFFFFF) + SECRET),
    ("sequence longer than the file", PLAIN.header(0x00289145, "SQ", 0x7FFFFFFE) + SECRET),
    ("item longer than its sequence", PLAIN.header(0x00289145, "SQ", 8) + PLAIN.header(ITEM, "", 16) + SECRET),
    ("element longer than its item", OPEN_SEQUENCE + PLAIN.header(ITEM, "", 8) + PLAIN.header(0x00280010, "US", 8)),
    ("sequence without its end", OPEN_SEQUENCE),
    ("item without its end", OPEN_SEQUENCE + OPEN_ITEM),
    ("delimiter where none belongs", PLAIN.header(ITEM_DELIMITATION, "", 0)),
    ("delimiter with a length", OPEN_SEQUENCE + PLAIN.header(SEQUENCE_DELIMITATION, "", 4) + b"\0" * 4),
    ("item outside a sequence", PLAIN.header(ITEM, "", 0)),
    ("element instead of an item", OPEN_SEQUENCE + PLAIN.header(0x00280010, "US", 0)),
    ("undefined length of a text", PLAIN.header(0x00289999, "UT", UNDEFINED_LENGTH) + SECRET),
    ("fragment longer than the file", OPEN_PIXELS + PLAIN.header(ITEM, "", 0xFFFFFFF0)),
    ("fragments without their end", OPEN_PIXELS + PLAIN.header(ITEM, "", 0)),
    ("the same tag twice", PLAIN.element(0x0020000E, "UI", b"1.2.3.9")),
    ("tags that descend", PLAIN.element(0x00100020, "LO", SECRET)),
    ("no value representation", b"\x28\0\x99\x99  \4\0abcd"),
    ("half a header", b"\x28\0\x99"),
]


@pytest.mark.parametrize(("name", "tail"), FALSE_LENGTHS, ids=[name for name, _ in FALSE_LENGTHS])
def test_false_lengths_are_malformed(name: str, tail: bytes) -> None:
    content = file(header_of(EXPLICIT_LITTLE_ENDIAN) + tail)
    assert outcome(content) == "Malformed"
    with pytest.raises(Malformed) as raised:
        read_identity(content)
    assert SECRET.decode() not in str(raised.value)


NATIVE = header_of(EXPLICIT_LITTLE_ENDIAN) + EXPLICIT_LITTLE_ENDIAN.element(0x7FE00010, "OW", b"\0\0")
WRONG_META = [
    ("empty", b""),
    ("not DICOM", b"%PDF-1.7 " + SECRET * 40),
    ("no prefix", b"\0" * 128 + b"MCID" + small_file()[132:]),
    ("only the preamble", b"\0" * 128 + b"DICM"),
    ("no transfer syntax", b"\0" * 128 + b"DICM" + EXPLICIT_LITTLE_ENDIAN.element(0x00020016, "AE", SECRET)),
    ("transfer syntax that is text", b"\0" * 128 + b"DICM" + EXPLICIT_LITTLE_ENDIAN.element(0x00020010, "UI", SECRET)),
    ("meta longer than the file", b"\0" * 128 + b"DICM" + EXPLICIT_LITTLE_ENDIAN.header(0x00020102, "OB", 0x7FFFFFFF)),
    ("explicit, but the meta says implicit", file(header_of(EXPLICIT_LITTLE_ENDIAN), IMPLICIT)),
    ("implicit, but the meta says explicit", file(header_of(IMPLICIT_LITTLE_ENDIAN), EXPLICIT)),
    ("not deflated, but the meta says so", file(header_of(EXPLICIT_LITTLE_ENDIAN), DEFLATED)),
    ("native, but the meta says JPEG", file(NATIVE, "1.2.840.10008.1.2.4.50")),
]


@pytest.mark.parametrize(("name", "content"), WRONG_META, ids=[name for name, _ in WRONG_META])
def test_wrong_meta_is_malformed(name: str, content: bytes) -> None:
    assert outcome(content) == "Malformed"


@pytest.mark.parametrize(
    "uid", [b"../../etc/passwd", b"1.2.3/../4", b"1..2", b"", b"1.2.3\\1.2.4", b"1." + b"2" * 63, "1.²".encode()]
)
def test_uids_that_are_none(uid: bytes) -> None:
    element = EXPLICIT_LITTLE_ENDIAN.element
    whole = header_of(EXPLICIT_LITTLE_ENDIAN).replace(
        element(0x00080018, "UI", b"1.2.3.4"), element(0x00080018, "UI", uid)
    )
    assert outcome(file(whole)) == "Malformed"
    with pytest.raises(Malformed):
        read_identity(file(whole))


def test_a_program_in_the_preamble_does_not_come_out() -> None:
    content = b"MZ".ljust(128, b"\x90") + file(header_of(EXPLICIT_LITTLE_ENDIAN))[128:]
    safe = deidentify_instance(content, pseudonyms=EphemeralPseudonyms())
    assert safe.content[:128] == b"\0" * 128


def deflated(content: bytes, zeros: int) -> bytes:
    machine = zlib.compressobj(9, wbits=-15)
    block = b"\0" * (1 << 20)
    pieces = [machine.compress(content)]
    pieces += [machine.compress(block) for _ in range(zeros >> 20)]
    return b"".join([*pieces, machine.flush()])


def test_a_deflate_bomb_stops_at_the_limit() -> None:
    pixels = EXPLICIT_LITTLE_ENDIAN.header(0x7FE00010, "OW", 300 << 20)
    bomb = file(deflated(header_of(EXPLICIT_LITTLE_ENDIAN) + pixels, 300 << 20), DEFLATED)
    tracemalloc.start()
    try:
        assert outcome(bomb) == "Malformed"
        with pytest.raises(Malformed):
            read_identity(bomb)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_a_deflated_black_image_is_no_bomb() -> None:
    pixels = EXPLICIT_LITTLE_ENDIAN.header(0x7FE00010, "OW", 16 << 20)
    content = file(deflated(header_of(EXPLICIT_LITTLE_ENDIAN) + pixels, 16 << 20), DEFLATED)
    assert outcome(content) == "safe"


def test_a_flood_of_elements_ends() -> None:
    items = EXPLICIT_LITTLE_ENDIAN.header(ITEM, "", 0) * 1_500_000
    content = file(
        header_of(EXPLICIT_LITTLE_ENDIAN) + EXPLICIT_LITTLE_ENDIAN.header(0x00289145, "SQ", len(items)) + items
    )
    began = time.process_time()
    with pytest.raises(Malformed, match="too many"):
        read_identity(content)
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "value", [b" " * 200_000 + b"x", b"1\\" * 100_000 + b"x", b"\\" * 200_000 + b"x", b"1" * 200_000]
)
@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00180050, "DS"), (0x00200013, "IS"), (0x00080008, "CS"), (0x00281055, "LO")]
)
def test_long_values_take_no_long_time(tag: int, vr: str, value: bytes) -> None:
    content = b"".join(
        sorted(
            [*_elements(header_of(IMPLICIT_LITTLE_ENDIAN)), IMPLICIT_LITTLE_ENDIAN.element(tag, vr, value)], key=_order
        )
    )
    began = time.process_time()
    assert outcome(file(content, IMPLICIT)) == "safe"
    assert time.process_time() - began < 2


def _elements(content: bytes) -> list[bytes]:
    elements, at = [], 0
    while at < len(content):
        end = at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        elements.append(content[at:end])
        at = end
    return elements


def _order(element: bytes) -> tuple[int, int]:
    return int.from_bytes(element[:2], "little"), int.from_bytes(element[2:4], "little")


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm", "DICOMDIR-nooffset", "no_meta.dcm"])
def test_damaged_files_of_others(name: str) -> None:
    path = next(Path(pydicom.__file__).parent.joinpath("data").rglob(name))
    with pytest.raises((Malformed, DeidentificationRefused)):
        deidentify_instance(path.read_bytes(), pseudonyms=EphemeralPseudonyms())
