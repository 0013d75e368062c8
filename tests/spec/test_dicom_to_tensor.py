"""From stored values to grey: one row for each rule of PS3.3 C.7.6.3, C.7.5.1.1.2, C.8.11.3, C.11.1 and C.11.2."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless

from osler.errors import Malformed, UnsupportedKind
from osler.models.cxr import lut
from osler.models.cxr.codestream import frame_size
from osler.models.cxr.pixels import decode, read_grey
from osler.models.cxr.tensor import to_tensor


def image(values: npt.ArrayLike, dtype: str = "<u2", **attributes: Any) -> pydicom.Dataset:
    """A one-row image of these stored values; attributes by keyword."""
    array = np.atleast_2d(np.asarray(values)).astype(dtype)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = array.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = array.dtype.itemsize * 8
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if "HighBit" not in attributes:
        dataset.HighBit = dataset.BitsStored - 1
    data = array.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return dataset


def table(descriptor: list[int], data: Any, *, vr: str = "US") -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US" if min(descriptor) >= 0 else "SS", descriptor)
    item.add_new("LUTData", vr, data)
    return pydicom.Sequence([item])


def colour(samples: list[list[int]], photometric: str) -> pydicom.Dataset:
    dataset = image(np.array([samples]), "u1", SamplesPerPixel=3, PlanarConfiguration=0)
    dataset.PhotometricInterpretation = photometric
    return dataset


# ------------------------------------------------------------------------------------------ the image itself

IMAGE_RULES = [
    # rule, image, grey
    ("C.7.6.3.1.2 MONOCHROME2: the least value is black", image([0, 50, 100]), [0, 0.5, 1]),
    ("C.7.6.3.1.2 MONOCHROME1: the least value is white", image([0, 50, 100], PhotometricInterpretation="MONOCHROME1"),
     [1, 0.5, 0]),
    ("C.8.11.3 MONOCHROME1 with INVERSE: inverted once",
     image([0, 50, 100], PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"), [1, 0.5, 0]),
    ("C.8.11.3 MONOCHROME2 with IDENTITY: as it is", image([0, 50, 100], PresentationLUTShape="IDENTITY"), [0, 0.5, 1]),
    ("C.11.6 INVERSE: inverted", image([0, 50, 100], PresentationLUTShape="INVERSE"), [1, 0.5, 0]),
    ("C.7.6.3 8 bits", image([0, 51, 255, 0], "u1"), [0, 0.2, 1, 0]),
    ("C.7.6.3 16 bits", image([0, 13107, 65535]), [0, 0.2, 1]),
    ("C.7.6.3 Pixel Representation: two's complement", image([-100, 0, 100], "<i2"), [0, 0.5, 1]),
    ("PS3.5 8.1.1 signed, 12 bits stored: the sign is bit 11",
     image([0xF9C, 0, 100], BitsStored=12, PixelRepresentation=1), [0, 0.5, 1]),
    ("PS3.5 8.1.1 bits above High Bit are no part of the value",
     image([0xF000, 0x1032, 0x64], BitsStored=12), [0, 0.5, 1]),
    ("PS3.5 8.1.1 High Bit 15 of 12 bits: bits below are no part",
     image([0x000F, 0x0320, 0x0647], BitsStored=12, HighBit=15), [0, 0.5, 1]),
    ("C.7.5.1.1.2 padding is black and sets no range", image([0, 500, 550, 600], PixelPaddingValue=0), [0, 0, 0.5, 1]),
    ("C.7.5.1.1.2 padding of MONOCHROME1 is black too",
     image([65535, 500, 550, 600], PixelPaddingValue=65535, PhotometricInterpretation="MONOCHROME1"), [0, 1, 0.5, 0]),
    ("C.7.5.1.1.2 padding range",
     image([3, 10, 500, 600], PixelPaddingValue=0, PixelPaddingRangeLimit=10), [0, 0, 0, 1]),
    ("C.7.5.1.1.2 padding is compared before the rescale",
     image([-2000, 0, 10], "<i2", PixelPaddingValue=-2000, RescaleSlope=2, RescaleIntercept=7), [0, 0, 1]),
    ("an image of one value is black", image([7, 7, 7]), [0, 0, 0]),
    ("C.7.6.3.1.2 RGB: luminance", colour([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], "RGB"),
     [1, 0.299, 0.587, 0.114]),
    ("C.7.6.3.1.2 YBR_FULL: luminance is Y", colour([[255, 128, 128], [51, 128, 128]], "YBR_FULL"), [1, 0.2]),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "grey"), [row[1:] for row in IMAGE_RULES], ids=[row[0] for row in IMAGE_RULES])
def test_image(dataset: pydicom.Dataset, grey: list[float]) -> None:
    assert read_grey(dataset)[0] == pytest.approx(grey, abs=2e-3)


def test_palette_colour_is_looked_up() -> None:
    dataset = image([0, 1], "u1", PhotometricInterpretation="PALETTE COLOR")
    for colour_name, entries in (("Red", [0, 255]), ("Green", [0, 255]), ("Blue", [0, 255])):
        setattr(dataset, f"{colour_name}PaletteColorLookupTableDescriptor", [2, 0, 8])
        setattr(dataset, f"{colour_name}PaletteColorLookupTableData", bytes(entries))
    assert read_grey(dataset)[0] == pytest.approx([0, 1], abs=1e-3)


# ------------------------------------------------------------------------------------------ C.11.1 Modality LUT

TWO = {"ModalityLUTSequence": table([2, 5, 16], [100, 200])}
FALLING = np.arange(65536, dtype="<u2")[::-1].tobytes()
PACKED, WORDS = bytes([9, 8, 7, 6]), np.array([9, 8], "<u2").tobytes()

MODALITY_RULES = [
    # rule, stored values, attributes, output units
    ("C.11.1 neither: as they are", [0, 7], {}, [0, 7]),
    ("C.11.1.1.2 rescale: slope times value plus intercept", [0, 7], {"RescaleSlope": "2", "RescaleIntercept": "-10"},
     [-10, 4]),
    ("C.11.1.1.1 first entry for the first value mapped", [5, 6], TWO, [100, 200]),
    ("C.11.1.1.1 below the first value: the first entry", [0, 5], TWO, [100, 100]),
    ("C.11.1.1.1 above the last value: the last entry", [6, 900], TWO, [200, 200]),
    ("C.11.1.1.1 0 entries means 65536", [1, 65535], {"ModalityLUTSequence": table([0, 0, 16], FALLING, vr="OW")},
     [65534, 0]),
    ("C.11.1.1.1 8-bit entries, packed", [0, 1], {"ModalityLUTSequence": table([4, 0, 8], PACKED, vr="OW")}, [9, 8]),
    ("C.11.1.1.1 8-bit entries, a word each", [0, 1], {"ModalityLUTSequence": table([2, 0, 8], WORDS, vr="OW")},
     [9, 8]),
    ("C.11.1 a table goes before a rescale", [5], {**TWO, "RescaleSlope": 3, "RescaleIntercept": 1}, [100]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "attributes", "units"), [row[1:] for row in MODALITY_RULES], ids=[row[0] for row in MODALITY_RULES]
)
def test_modality_lut(stored: list[int], attributes: dict[str, Any], units: list[float]) -> None:
    dataset = image(stored, **attributes)
    assert lut.modality(np.array([stored], dtype=np.uint16), dataset)[0].tolist() == units


def test_the_first_value_mapped_is_signed_when_the_pixels_are() -> None:
    dataset = image([-3, -2], "<i2", ModalityLUTSequence=table([2, -3, 16], [100, 200]))
    assert lut.modality(np.array([[-3, -2]], dtype=np.int16), dataset)[0].tolist() == [100, 200]


# ------------------------------------------------------------------------------------------ C.11.2 VOI LUT

WINDOW_RULES = [
    # rule, function, center, width, value, shown
    ("C.11.2.1.2.1 example: c=2048 w=4096, lowest", "LINEAR", 2048, 4096, 0, 0),
    ("C.11.2.1.2.1 example: c=2048 w=4096, highest", "LINEAR", 2048, 4096, 4095, 1),
    ("C.11.2.1.2.1 example: c=2048 w=1, at the step", "LINEAR", 2048, 1, 2047, 0),
    ("C.11.2.1.2.1 example: c=2048 w=1, past the step", "LINEAR", 2048, 1, 2048, 1),
    ("C.11.2.1.2.1 example: c=0 w=100, lowest", "LINEAR", 0, 100, -50, 0),
    ("C.11.2.1.2.1 example: c=0 w=100, highest", "LINEAR", 0, 100, 49, 1),
    ("C.11.2.1.2.1 example: c=0 w=100, inside", "LINEAR", 0, 100, 9, 9.5 / 99 + 0.5),
    ("C.11.2.1.3.2 c=2048 w=4096, lowest", "LINEAR_EXACT", 2048, 4096, 0, 0),
    ("C.11.2.1.3.2 c=2048 w=4096, middle", "LINEAR_EXACT", 2048, 4096, 2048, 0.5),
    ("C.11.2.1.3.2 c=2048 w=4096, highest", "LINEAR_EXACT", 2048, 4096, 4096, 1),
    ("C.11.2.1.3.2 a width below 1 is allowed", "LINEAR_EXACT", 0.5, 0.5, 0.5, 0.5),
    ("C.11.2.1.3.1 the centre is the middle", "SIGMOID", 100, 50, 100, 0.5),
    ("C.11.2.1.3.1 half a width above", "SIGMOID", 100, 50, 125, 1 / (1 + np.exp(-2))),
    ("C.11.2.1.3.1 far below", "SIGMOID", 100, 50, -30000, 0),
]


@pytest.mark.parametrize(
    ("function", "center", "width", "value", "shown"),
    [row[1:] for row in WINDOW_RULES],
    ids=[row[0] for row in WINDOW_RULES],
)
def test_window(function: str, center: float, width: float, value: float, shown: float) -> None:
    values = np.array([[value]], dtype=np.float32)
    assert lut.window(values, center=center, width=width, function=function)[0, 0] == pytest.approx(shown, abs=1e-6)


VOI_RULES = [
    ("C.11.2.1.2 of several windows the first",
     image([0, 100], WindowCenter=[50.5, 5], WindowWidth=[101, 2]), [0, 1]),
    ("C.11.2.1.2 no VOI LUT Function means LINEAR",
     image([0, 9, 99], WindowCenter=50, WindowWidth=100), [0, 9 / 99, 1]),
    ("C.11.2.1.1 a table", image([0, 1, 2, 9], VOILUTSequence=table([3, 0, 8], [0, 51, 255])), [0, 0.2, 1, 1]),
    ("C.11.2 a table goes before a window", image([0, 1], VOILUTSequence=table([2, 0, 8], [255, 0]), WindowCenter=1,
     WindowWidth=2), [1, 0]),
    ("C.11.2 the window is in the units of the Modality LUT", image([0, 100], RescaleSlope=10, RescaleIntercept=-500,
     WindowCenter=0.5, WindowWidth=1001), [0, 1]),
    ("PS3.4 N.2 the window is before the inversion", image([0, 25, 100], WindowCenter=50.5, WindowWidth=101,
     PhotometricInterpretation="MONOCHROME1"), [1, 0.75, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "grey"), [row[1:] for row in VOI_RULES], ids=[row[0] for row in VOI_RULES])
def test_voi_lut(dataset: pydicom.Dataset, grey: list[float]) -> None:
    assert read_grey(dataset)[0] == pytest.approx(grey, abs=1e-5)


# ------------------------------------------------------------------------------------------ transfer syntaxes

LOSSLESS = [
    # transfer syntax, compressed file, the same image uncompressed
    ("RLE Lossless", "MR_small_RLE.dcm", "MR_small.dcm"),
    ("JPEG-LS Lossless", "MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    ("JPEG 2000 Lossless", "MR_small_jp2klossless.dcm", "MR_small.dcm"),
    ("Explicit VR Big Endian", "MR_small_bigendian.dcm", "MR_small.dcm"),
    ("Implicit VR Little Endian", "MR_small_implicit.dcm", "MR_small.dcm"),
    ("JPEG Lossless, first-order prediction", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm2k_uncompressed.dcm"),
    ("RLE Lossless, colour", "SC_rgb_rle.dcm", "SC_rgb.dcm"),
]


@pytest.mark.parametrize(("compressed", "plain"), [row[1:] for row in LOSSLESS], ids=[row[0] for row in LOSSLESS])
def test_a_lossless_syntax_gives_the_same_grey(compressed: str, plain: str) -> None:
    got, expected = read_grey(bundled(compressed)), read_grey(bundled(plain))
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-6


LOSSY = [
    # transfer syntax, file, a place, its stored value or luminance as other decoders give it
    ("JPEG Extended, 12 bits", "JPGExtended.dcm", (420, 140), 244),
    ("JPEG Extended, 12 bits, elsewhere", "JPGExtended.dcm", (230, 120), 95),
    ("JPEG-LS near-lossless, 8 bits", "JPEGLSNearLossless_08.dcm", (0, 0), 255),
]


@pytest.mark.parametrize(("file", "place", "value"), [row[1:] for row in LOSSY], ids=[row[0] for row in LOSSY])
def test_a_lossy_syntax_gives_the_value(file: str, place: tuple[int, int], value: int) -> None:
    decoded, _ = decode(bundled(file))
    assert abs(int(decoded[place].max()) - value) <= 2


def test_lossy_jpeg_2000_of_a_radiograph_is_close_to_the_original() -> None:
    assert np.abs(read_grey(bundled("RG3_J2KI.dcm")) - read_grey(bundled("RG3_UNCI.dcm"))).mean() < 0.005


@pytest.mark.parametrize("file", ["SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"])
def test_jpeg_baseline_colours_keep_their_luminance(file: str) -> None:
    grey = read_grey(bundled(file))
    assert grey.shape == (100, 100)
    assert grey[5, 50] == pytest.approx(0.299, abs=0.02)  # a red bar


def bundled(name: str) -> pydicom.Dataset:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} comes with pydicom or pydicom-data"
    return pydicom.dcmread(path)


# ------------------------------------------------------------------------------------------ what cannot be read


def with_pixels(data: bytes, syntax: UID = ExplicitVRLittleEndian) -> pydicom.Dataset:
    dataset = image([[1, 2], [3, 4]], PixelData=b"")
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.add_new("PixelData", "OB", data)
    dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
    return dataset


def j2k_header(rows: int, columns: int) -> bytes:
    return (
        b"\xff\x4f\xff\x51\x00\x29\x00\x00" + b"".join(n.to_bytes(4, "big") for n in (columns, rows, 0, 0)) + b"\0" * 40
    )


UNREADABLE = [
    ("no pixel data", lambda: _without(image([1, 2]), "PixelData"), Malformed),
    ("empty pixel data", lambda: with_pixels(b""), Malformed),
    ("truncated pixel data", lambda: with_pixels(b"\1\0\2\0"), Malformed),
    ("no Rows", lambda: _without(image([1, 2]), "Rows"), Malformed),
    ("Rows 0", lambda: _with(image([1, 2]), Rows=0), Malformed),
    ("more rows than pixels", lambda: _with(image([1, 2]), Rows=900), Malformed),
    ("60000 x 60000", lambda: _with(image([1, 2]), Rows=60000, Columns=60000), Malformed),
    ("High Bit below Bits Stored", lambda: _with(image([1, 2]), HighBit=3), Malformed),
    ("Bits Stored above Bits Allocated", lambda: _with(image([1, 2]), BitsStored=17, HighBit=16), Malformed),
    ("no photometric interpretation", lambda: _without(image([1, 2]), "PhotometricInterpretation"), Malformed),
    ("LUT shorter than its descriptor", lambda: image([1], ModalityLUTSequence=table([9, 0, 16], [1, 2])), Malformed),
    ("LUT descriptor of one value", lambda: image([1], VOILUTSequence=table([9], [1, 2])), Malformed),
    ("LUT of 99 bits", lambda: image([1], VOILUTSequence=table([2, 0, 99], [1, 2])), Malformed),
    ("window of width 0", lambda: image([1, 2], WindowCenter=1, WindowWidth=0), Malformed),
    ("unknown VOI LUT Function",
     lambda: image([1, 2], WindowCenter=1, WindowWidth=3, VOILUTFunction="CUBIC"), Malformed),
    ("JPEG 2000 of another size",
     lambda: with_pixels(encapsulate([j2k_header(40000, 40000)]), JPEG2000Lossless), Malformed),
    ("JPEG 2000 cut off", lambda: with_pixels(encapsulate([j2k_header(2, 2)]), JPEG2000Lossless), Malformed),
    ("not JPEG 2000 at all", lambda: with_pixels(encapsulate([b"SECRETSECRET"]), JPEG2000Lossless), Malformed),
    ("several frames", lambda: _with(image([1, 2]), NumberOfFrames=2), UnsupportedKind),
    ("1 bit", lambda: _with(image([1, 2]), BitsAllocated=1, BitsStored=1, HighBit=0), UnsupportedKind),
    ("a video", lambda: with_pixels(encapsulate([b"\0\0"]), UID("1.2.840.10008.1.2.4.102")), UnsupportedKind),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_the_unreadable_is_refused_without_quoting_it(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read_grey(make())
    assert "SECRET" not in f"{caught.value} {caught.value.__cause__}"


def _without(dataset: pydicom.Dataset, keyword: str) -> pydicom.Dataset:
    delattr(dataset, keyword)
    return dataset


def _with(dataset: pydicom.Dataset, **attributes: Any) -> pydicom.Dataset:
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


FRAME_SIZES = [
    (
        "baseline JPEG after an APP0 segment",
        b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x01\x00\x02\x00\x01",
        (256, 512),
    ),
    ("JPEG-LS", b"\xff\xd8\xff\xf7\x00\x0b\x10\x00\x03\x00\x04\x01", (3, 4)),
    ("a fill byte", b"\xff\xd8\xff\xff\xc0\x00\x0b\x08\x01\x00\x02\x00\x01", (256, 512)),
    ("JPEG 2000", j2k_header(7, 9), (7, 9)),
    ("JPEG cut off", b"\xff\xd8\xff\xc0\x00", None),
    ("something else", b"abcdefgh", None),
    ("nothing", b"", None),
]


@pytest.mark.parametrize(("frame", "size"), [row[1:] for row in FRAME_SIZES], ids=[row[0] for row in FRAME_SIZES])
def test_frame_size_is_read_from_the_markers(frame: bytes, size: tuple[int, int] | None) -> None:
    assert frame_size(frame) == size


# ------------------------------------------------------------------------------------------ grey to tensor


def test_reducing_averages_areas() -> None:
    square = np.kron(np.add.outer(np.arange(224), np.arange(224)), np.ones((4, 6))).astype(np.float32)
    checks = square + np.tile([[100, -100], [-100, 100]], (448, 672)).astype(np.float32)
    assert to_tensor(checks) == pytest.approx(to_tensor(square), abs=1e-4)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (0.001, 0), (300, -7000)])
def test_scale_and_offset_of_the_grey_values_do_not_matter(scale: float, offset: float) -> None:
    grey = np.random.default_rng(3).random((300, 400)).astype(np.float32)
    tensor = to_tensor(grey * np.float32(scale) + np.float32(offset))
    assert tensor.shape == (224, 224)
    assert tensor == pytest.approx(to_tensor(grey), abs=1e-2)
    assert (tensor.min(), tensor.max()) == (0, 1)


def test_an_image_of_one_grey_is_black() -> None:
    assert not to_tensor(np.full((500, 400), 0.7, np.float32)).any()
