"""Burned-in text goes; all else stays as it is."""

from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from osler.deidentify.dicom.burned_in import Box, CleanedPixels, PackagedReader, clean_pixels
from osler.deidentify.dicom.burned_in.jpeg_lossless import write_jpeg_lossless
from osler.errors import DeidentificationRefused, Malformed
from pixel_instances import KNOWN, MARK_BOX, NAME_BOX, SCALE_BOX, decoded, encoded, grey, instance, pydicom_file


@pytest.fixture(scope="session")
def reader() -> PackagedReader:
    return PackagedReader()


def check(before: Any, after: Any, cleaned: CleanedPixels, *, exact: bool = True) -> None:
    """Check that the name is blank, that mark and scale stand, and that nothing else changed."""
    name = NAME_BOX.of(after)
    blanked = [region.box for region in cleaned.regions if not region.kept]
    assert blanked
    assert all(box.overlap(NAME_BOX) for box in blanked)
    ink = NAME_BOX.of(before).astype(float)
    lit = ink > (ink.min() + ink.max()) / 2
    assert np.ptp(name.astype(float)) < 0.35 * np.ptp(ink)
    assert lit.any()
    for box in (MARK_BOX, SCALE_BOX):
        assert any(region.kept and region.box.overlap(box) for region in cleaned.regions)
        if exact:
            assert np.array_equal(box.of(before), box.of(after))
    if exact:
        outside = np.ones(before.shape[:2], bool)
        for box in blanked:
            box.of(outside)[...] = False
        assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize(
    ("pixels", "attributes"),
    [
        (grey(255).astype(np.uint8), {}),
        (255 - grey(255).astype(np.uint8), {"photometric": "MONOCHROME1"}),
        (grey(1023).astype(np.uint16), {"BitsStored": 10}),
        (grey(4095).astype(np.uint16), {"BitsStored": 12}),
        (grey(65535).astype(np.uint16), {}),
        (grey(1800, -1024).astype(np.int16), {}),
        (grey(1800, -1024).astype(np.int16) & 0xFFF, {"BitsStored": 12, "PixelRepresentation": 1}),
    ],
    ids=["8", "monochrome1", "10", "12", "16", "signed", "signed-12"],
)
def test_grey_pixels_of_any_depth(pixels: Any, attributes: Any, reader: PackagedReader) -> None:
    given = instance(pixels, **attributes)
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    result = decoded(cleaned.content)
    assert result.BurnedInAnnotation == "NO"
    assert cleaned.touched == (0,)
    assert not cleaned.lossy
    check(given.pixel_array, result.pixel_array, cleaned)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colour_pixels(photometric: str, planar: int, reader: PackagedReader) -> None:
    one = grey(255).astype(np.uint8)
    pixels = np.dstack([one, np.full_like(one, 100), np.full_like(one, 130)])
    given = instance(pixels, photometric=photometric, PlanarConfiguration=planar)
    if planar:
        given.PixelData = pixels.transpose(2, 0, 1).tobytes()
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    after = decoded(cleaned.content)
    assert after.PlanarConfiguration == planar
    shape = (3, 200, 256) if planar else (200, 256, 3)
    raw = np.frombuffer(after.PixelData, np.uint8).reshape(shape)
    check(pixels, raw.transpose(1, 2, 0) if planar else raw, cleaned)


def test_subsampled_colour(reader: PackagedReader) -> None:
    one = grey(255).astype(np.uint8)
    quads = np.full((200, 128, 4), 128, np.uint8)
    quads[..., :2] = one.reshape(200, 128, 2)
    given = instance(np.dstack([one] * 3), photometric="YBR_FULL_422")
    given.PixelData = quads.tobytes()
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    after = np.frombuffer(decoded(cleaned.content).PixelData, np.uint8).reshape(200, 128, 4)
    luminance = after[..., :2].reshape(200, 256)
    assert np.ptp(NAME_BOX.of(luminance).astype(int)) < 70
    assert np.array_equal(SCALE_BOX.of(luminance), SCALE_BOX.of(one))


def test_palette_colour(reader: PackagedReader) -> None:
    """The index says nothing of how light a pixel is: text is seen through the palette."""
    shuffled = np.random.default_rng(1).permutation(256).astype(np.uint8)
    palette = np.empty(256, np.uint16)
    palette[shuffled] = np.arange(256) * 257
    given = instance(shuffled[grey(255).astype(np.uint8)], photometric="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(given, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(given, f"{colour}PaletteColorLookupTableData", palette.tobytes())
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    after = decoded(cleaned.content).pixel_array
    check(palette[given.pixel_array] // 257, palette[after] // 257, cleaned)


def _compressed(pixels: Any, syntax: str, **settings: Any) -> pydicom.Dataset:
    given = instance(pixels, photometric="RGB" if pixels.ndim == 3 else "MONOCHROME2")
    if syntax == JPEGLosslessSV1:
        frame = write_jpeg_lossless(pixels, given.BitsStored)
        given.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
        given.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        given["PixelData"].VR, given["PixelData"].is_undefined_length = "OB", True
    else:
        given.compress(syntax, generate_instance_uid=False, **settings)
    return given


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    ("syntax", "settings"),
    [
        (RLELossless, {}),
        (JPEGLSLossless, {}),
        (JPEG2000Lossless, {}),
        (JPEG2000, {"j2k_cr": [5]}),
        (JPEGLosslessSV1, {}),
    ],
    ids=["rle", "jpeg-ls", "j2k", "j2k-lossy", "jpeg-lossless"],
)
def test_compressed_grey_stays_exact(syntax: str, settings: Any, depth: int, reader: PackagedReader) -> None:
    pixels = grey(2**depth - 1).astype(f"u{depth // 8}")
    given = _compressed(pixels, syntax, **settings)
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    after = decoded(cleaned.content)
    assert after.file_meta.TransferSyntaxUID == syntax
    check(given.pixel_array, after.pixel_array, cleaned)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1])
def test_compressed_colour_stays_exact(syntax: str, reader: PackagedReader) -> None:
    one = grey(255).astype(np.uint8)
    given = _compressed(np.dstack([one, one // 2, np.full_like(one, 20)]), syntax)
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    check(given.pixel_array, decoded(cleaned.content).pixel_array, cleaned)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_baseline_keeps_its_quantisation(mode: str, reader: PackagedReader) -> None:
    import io

    one = grey(255).astype(np.uint8)
    pixels = one if mode == "L" else np.dstack([one, one // 2 + 40, np.full_like(one, 90)])
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    given = instance(pixels, photometric="MONOCHROME2" if mode == "L" else "YBR_FULL_422")
    given.PixelData = encapsulate([stream.getvalue() + b"\0" * (stream.tell() % 2)])
    given.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    given["PixelData"].VR, given["PixelData"].is_undefined_length = "OB", True
    cleaned = clean_pixels(encoded(given), known=KNOWN, reader=reader)
    after = decoded(cleaned.content)
    assert cleaned.lossy
    assert after.LossyImageCompression == "01"
    assert after.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(after.LossyImageCompressionRatio) > 1
    with Image.open(io.BytesIO(next(generate_frames(after.PixelData, number_of_frames=1)))) as image:
        picture = np.asarray(image.convert("L"))
    before = np.asarray(Image.open(stream).convert("L"))
    check(before, picture, cleaned, exact=False)
    far = Box(60, 0, 200, 256)
    assert np.abs(far.of(before).astype(int) - far.of(picture)).max() <= 3


def test_only_frames_with_text_are_touched(reader: PackagedReader) -> None:
    """Also compressed frames without text keep their bytes."""
    plain, text = np.full((200, 256), 60, np.uint8), grey(255).astype(np.uint8)
    given = instance(np.stack([plain, text, text, plain]))
    given.compress(RLELossless, generate_instance_uid=False)
    frames: list[int] = []
    cleaned = clean_pixels(encoded(given), known={}, reader=reader, on_frame=lambda done, of: frames.append(done * of))
    assert cleaned.touched == (1, 2)
    assert frames == [4, 8, 12, 16]
    before = list(generate_frames(given.PixelData, number_of_frames=4))
    after = decoded(cleaned.content)
    now = list(generate_frames(after.PixelData, number_of_frames=4))
    assert (now[0], now[3]) == (before[0], before[3])
    check(
        text, after.pixel_array[2], CleanedPixels(b"", tuple(r for r in cleaned.regions if r.frame == 2), 4, (), False)
    )


class CountingReader:
    """Counts how many pixels were looked at."""

    def __init__(self, reader: PackagedReader) -> None:
        self.reader, self.looked_at = reader, 0

    def find(self, picture: Any) -> Any:
        self.looked_at += picture.size
        return self.reader.find(picture)

    def read(self, line: Any) -> Any:
        return self.reader.read(line)


def test_what_stays_in_place_is_not_read_anew(reader: PackagedReader) -> None:
    text = grey(255).astype(np.uint8)
    moving = np.stack([text.copy() for _ in range(6)])
    for index, frame in enumerate(moving):
        frame[140:150, 200 + index] = 0
    one, all_of_them = CountingReader(reader), CountingReader(reader)
    clean_pixels(encoded(instance(text)), known={}, reader=one)
    cleaned = clean_pixels(encoded(instance(moving)), known={}, reader=all_of_them)
    assert cleaned.touched == tuple(range(6))
    assert all_of_them.looked_at < 3 * one.looked_at


def test_text_that_changes_between_frames_is_found(reader: PackagedReader) -> None:
    frames = np.full((3, 200, 256), 60, np.uint8)
    frames[1:] = grey(255).astype(np.uint8)
    frames[2] = np.roll(frames[2], 40, axis=0)
    cleaned = clean_pixels(encoded(instance(frames)), known={}, reader=reader)
    after = decoded(cleaned.content).pixel_array
    assert np.ptp(np.roll(after[2], -40, axis=0)[12:40, 20:230].astype(int)) < 70


def test_values_beside_the_stored_bits_are_cleared(reader: PackagedReader) -> None:
    """A retired overlay in the high bits is text too (PS3.5 8.1.2)."""
    pixels = np.full((64, 64), 100, np.uint16)
    given = instance(pixels | (np.eye(64, dtype=np.uint16) << 15), BitsStored=12)
    cleaned = clean_pixels(encoded(given), known={}, reader=reader)
    assert cleaned.touched == (0,)
    assert decoded(cleaned.content).PixelData == pixels.tobytes()


def test_a_scale_that_is_known_of_the_patient_goes(reader: PackagedReader) -> None:
    pixels = grey(255).astype(np.uint8)
    cleaned = clean_pixels(encoded(instance(pixels)), known={"identifier": [{"value": "10"}]}, reader=reader)
    assert any(r.box.overlap(SCALE_BOX) and not r.kept for r in cleaned.regions)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "693_J2KI.dcm"])
def test_anatomy_stays(name: str, reader: PackagedReader) -> None:
    content = pydicom_file(name)
    cleaned = clean_pixels(content, known={}, reader=reader)
    assert cleaned.touched == ()
    assert decoded(cleaned.content).PixelData == decoded(content).PixelData


def test_an_instance_without_pixels_stays(reader: PackagedReader) -> None:
    given = instance(np.zeros((2, 2), np.uint8))
    del given.PixelData
    content = encoded(given)
    assert clean_pixels(content, known={}, reader=reader) == CleanedPixels(content, (), 0, (), lossy=False)


@pytest.mark.parametrize(
    ("attributes", "error", "rule"),
    [
        ({"PhotometricInterpretation": "CMYK"}, DeidentificationRefused, "pixel-form"),
        ({"BitsAllocated": 1, "BitsStored": 1}, DeidentificationRefused, "pixel-form"),
        ({"FloatPixelData": b"\0\0\0\0"}, DeidentificationRefused, "pixel-form"),
        ({"Rows": 4000}, Malformed, None),
        ({"BitsStored": 12}, Malformed, None),
        ({"Rows": None}, Malformed, None),
    ],
)
def test_what_cannot_be_looked_at_is_refused(
    attributes: Any, error: type[Exception], rule: str | None, reader: PackagedReader
) -> None:
    given = instance(np.zeros((16, 16), np.uint8))
    for keyword, value in attributes.items():
        setattr(given, keyword, value)
    given.HighBit = given.BitsStored - 1
    with pytest.raises(error) as refused:
        clean_pixels(encoded(given), known={}, reader=reader)
    assert getattr(refused.value, "rule", None) == rule


def test_it_takes_no_longer_than_it_may(reader: PackagedReader) -> None:
    with pytest.raises(DeidentificationRefused) as refused:
        clean_pixels(encoded(instance(np.zeros((3, 8, 8), np.uint8))), known={}, reader=reader, timeout_s=-1)
    assert refused.value.rule == "pixel-time"
