"""Pixel data comes out as it went in, without what is not pixels."""

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.dicom.codestream import metadata_spans
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused, Malformed
from osler.standards.dicom import Pixels
from osler.testing.studies import image, part10

JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
CANARY = b"Kanarie"


def deidentified(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(deidentify_instance(content, pseudonyms=EphemeralPseudonyms()).content))


def with_frames(frames: Sequence[bytes], syntax: str, *, fragments: int = 1) -> bytes:
    dataset = image("CR", NumberOfFrames=len(frames))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(frames), fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset)


@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"),
        *("MR_small_jp2klossless.dcm", "emri_small_jpeg_2k_lossless.dcm", "J2K_pixelrep_mismatch.dcm"),
        *("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG3_J2KI.dcm", "693_J2KR.dcm", "eCT_Supplemental.dcm"),
    ],
)
def test_pixel_data_is_passed_on_untouched(name: str) -> None:
    path = Path(get_testdata_file(name))
    assert deidentified(path.read_bytes()).PixelData == pydicom.dcmread(path).PixelData


def test_what_follows_native_pixels_is_cut_off() -> None:
    dataset = image("CR")
    pixels = dataset.PixelData
    dataset.PixelData = pixels + CANARY * 3
    assert deidentified(part10(dataset)).PixelData == pixels


@pytest.mark.parametrize("rows", [0, 63, 65, 65535])
def test_wrong_rows_are_no_reason_to_fail(rows: int) -> None:
    dataset = image("CR")
    pixels = bytes(dataset.PixelData)
    dataset.Rows = rows
    written = deidentified(part10(dataset)).PixelData
    assert written == (pixels[: 63 * 48 * 2] if rows == 63 else pixels)


def test_eight_bits_and_an_odd_size_are_padded() -> None:
    dataset = image("CR", BitsAllocated=8, BitsStored=8, HighBit=7, Rows=3, Columns=3)
    dataset.PixelData = bytes(range(9)) + CANARY
    assert deidentified(part10(dataset)).PixelData == bytes(range(9)) + b"\0"


def test_native_and_compressed_must_be_as_the_transfer_syntax_says() -> None:
    dataset = image("CR")
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    content = part10_unchecked(dataset)
    with pytest.raises(Malformed):
        deidentified(content)


def part10_unchecked(dataset: pydicom.Dataset) -> bytes:
    """Write an undefined length under a native transfer syntax, which pydicom refuses to."""
    dataset.file_meta.TransferSyntaxUID = JPEG
    return part10(dataset).replace(JPEG.encode() + b"", b"1.2.840.10008.1.2.1\0\0\0")


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
ADOBE = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"


def jpeg(*segments: bytes, after: bytes = b"") -> bytes:
    return b"\xff\xd8" + JFIF + b"".join(segments) + SCAN + b"\xff\xd9" + after


@pytest.mark.parametrize(
    "frame",
    [
        jpeg(segment(0xFE, CANARY)),
        jpeg(segment(0xE1, b"Exif\0\0" + CANARY), ADOBE),
        jpeg(segment(0xEE, b"Adobe" + CANARY)),
        jpeg(SCAN, segment(0xFE, CANARY)),
        jpeg(b"\xff\xff" + segment(0xFE, CANARY)[1:]),
        jpeg(after=CANARY),
        b"\xff\xd8" + segment(0xE0, b"JFIF\0" + CANARY) + SCAN + b"\xff\xd9",
    ],
)
@pytest.mark.parametrize("fragments", [1, 3])
def test_comments_and_application_data_of_jpeg_are_blanked(frame: bytes, fragments: int) -> None:
    content = with_frames([frame, frame], JPEG, fragments=fragments)
    written = deidentified(content).PixelData
    assert len(written) == len(pydicom.dcmread(io.BytesIO(content)).PixelData)
    for out in generate_frames(written, number_of_frames=2):
        assert CANARY not in out
        assert out.startswith(b"\xff\xd8")
        assert SCAN + b"\xff\xd9" in out


def test_what_a_jpeg_decoder_needs_stays() -> None:
    frame = jpeg(ADOBE)
    assert not list(metadata_spans(frame, 0, len(frame), Pixels.JPEG))


def jpeg_2000(*main: bytes, tile: Sequence[bytes] = (), length: int | None = None, after: bytes = b"") -> bytes:
    header = segment(0x51, b"\0" * 40) + b"".join(main)
    body = b"".join(tile) + b"\xff\x93" + b"coded \xff\x64 data"
    size = len(body) + 12 if length is None else length
    part = b"\xff\x90\0\x0a\0\0" + size.to_bytes(4, "big") + b"\0\1"
    return b"\xff\x4f" + header + part + body + b"\xff\xd9" + after


@pytest.mark.parametrize(
    "frame",
    [
        jpeg_2000(segment(0x64, b"\0\1" + CANARY)),
        jpeg_2000(tile=[segment(0x64, b"\0\1" + CANARY)]),
        jpeg_2000(segment(0x64, b"\0\1Created by OpenJPEG version 2.5 for " + CANARY)),
        jpeg_2000(after=CANARY),
        jpeg_2000(segment(0x64, b"\0\1" + CANARY), length=0),
    ],
)
@pytest.mark.parametrize("fragments", [1, 4])
def test_comments_of_jpeg_2000_are_blanked(frame: bytes, fragments: int) -> None:
    content = with_frames([frame], JPEG_2000, fragments=fragments)
    (out,) = generate_frames(deidentified(content).PixelData, number_of_frames=1)
    assert CANARY not in out
    assert b"coded \xff\x64 data" in out


def test_the_name_of_an_encoder_stays() -> None:
    frame = jpeg_2000(segment(0x64, b"\0\1Created by OpenJPEG version 2.5.0"), segment(0x64, b"\0\1Kakadu-v7.3.3"))
    assert not list(metadata_spans(frame, 0, len(frame), Pixels.JPEG_2000))


@pytest.mark.parametrize("end", range(2, 30))
def test_codestreams_that_are_cut_off(end: int) -> None:
    for whole, syntax in ((jpeg_2000(), JPEG_2000), (jpeg(segment(0xFE, CANARY)), JPEG)):
        written = b""
        with suppress(Malformed, DeidentificationRefused):
            written = deidentified(with_frames([whole[:end]], syntax)).PixelData
        assert CANARY not in written


@pytest.mark.parametrize("frame", [CANARY * 4, b"\0\0\0\x0cjP  \r\n\x87\n" + CANARY, b"", b"\xff\xd8"])
@pytest.mark.parametrize("syntax", [JPEG, JPEG_2000])
def test_a_frame_that_begins_otherwise_waits(frame: bytes, syntax: str) -> None:
    with pytest.raises(DeidentificationRefused) as raised:
        deidentified(with_frames([frame.ljust(10, b"\0")], syntax))
    assert raised.value.rule == "codestream"


def test_a_text_in_the_offset_table_is_malformed() -> None:
    content = with_frames([jpeg(), jpeg()], JPEG)
    table = b"\xfe\xff\x00\xe0\x08\0\0\0"
    at = content.index(table) + len(table)
    with pytest.raises(Malformed):
        deidentified(content[:at] + b"KANARIE!" + content[at + 8 :])


def test_decoders_still_read_a_blanked_frame() -> None:
    from PIL import Image

    stream = io.BytesIO()
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, comment=CANARY, exif=b"Exif\0\0" + CANARY)
    frame = stream.getvalue()
    assert frame.count(CANARY) == 2
    (out,) = generate_frames(deidentified(with_frames([frame], JPEG)).PixelData, number_of_frames=1)
    assert CANARY not in out
    before, after = (np.asarray(Image.open(io.BytesIO(f))) for f in (frame, out))
    assert (before == after).all()


@pytest.mark.parametrize("where", ["segment", "end"])
def test_what_an_rle_frame_holds_beside_its_pixels_is_blanked(where: str) -> None:
    dataset = image("CR", NumberOfFrames=1)
    pixels = dataset.pixel_array
    dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    [frame] = generate_frames(dataset.PixelData, number_of_frames=1)
    count, *offsets = np.frombuffer(frame[:64], "<u4").tolist()
    hidden = CANARY + b"\0"
    if where == "segment":  # between the two segments
        frame = frame[: offsets[1]] + hidden + frame[offsets[1] :]
        offsets[1] += len(hidden)
    else:
        frame += hidden
    assert count == 2
    frame = np.array([count, *offsets], "<u4").tobytes() + frame[64:]
    after = deidentified(with_frames([frame], "1.2.840.10008.1.2.5"))
    assert CANARY not in after.PixelData
    assert np.array_equal(after.pixel_array, pixels)


@pytest.mark.parametrize(
    ("signed", "given", "kept"),
    [
        (0, [0x8005, 0x0FFF, 0xF000, 1], [5, 0xFFF, 0, 1]),
        (1, [0xF800, 0x07FF, 0x0800, 0x8005], [0xF800, 0x7FF, 0xF800, 5]),
        (1, [0xFFFF, 0x07FF, 0x0FFF, 0x0005], [0xFFFF, 0x7FF, 0xFFF, 5]),
    ],
    ids=["unsigned", "signed", "sign-extended-or-not"],
)
def test_values_beside_the_stored_bits_are_cleared(signed: int, given: list[int], kept: list[int]) -> None:
    dataset = image("CR", Rows=2, Columns=2, BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=signed)
    dataset.PixelData = np.array(given, "<u2").tobytes()
    assert np.frombuffer(deidentified(part10(dataset)).PixelData, "<u2").tolist() == kept


@pytest.mark.parametrize(
    ("came", "written"),
    [
        ([-2048, -1, 0, 2047], [-2048, -1, 0, 2047]),  # the sign is extended
        ([0x0800, 0x0FFF, 0x07FF], [0x0800, 0x0FFF, 0x07FF]),  # it is not
        ([0x1001, 0x0001], [0x0001, 0x0001]),  # an overlay in a high bit of a positive pixel
        ([0x4FFF, -1], [-1, -1]),  # and of a negative one
        ([-4096 + 5, 5, 5, 5, 5], [5, 5, 5, 5, 5]),
    ],
)
def test_of_signed_pixels_only_the_sign_stands_above_the_stored_bits(came: list[int], written: list[int]) -> None:
    dataset = image("CR", BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=1, Rows=1, Columns=len(came))
    dataset.PixelData = np.array(came, "<i2").tobytes()
    made = np.frombuffer(deidentified(part10(dataset)).PixelData, "<i2")
    assert made[: len(written)].tolist() == written
