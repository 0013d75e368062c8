"""Overlay planes: removed by the basic profile; under Clean Graphics one that shows no text stays."""

import io

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.testing.studies import image, part10

GROUP, SIDE = 0x6000, 256
KEPT = {0x10, 0x11, 0x40, 0x50, 0x100, 0x102, 0x3000}


def drawn(text: str = "") -> npt.NDArray[np.bool_]:
    """Return an arrow-like drawing, or a text."""
    picture = Image.new("1", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    if text:
        draw.text((20, 100), text, fill=1, font=ImageFont.load_default(size=24))
    else:
        draw.line((30, 40, 200, 220), fill=1, width=2)
        draw.ellipse((60, 90, 180, 200), outline=1)
    return np.asarray(picture)


def with_planes(*planes: npt.NDArray[np.bool_], group: int = GROUP, **changes: object) -> pydicom.FileDataset:
    dataset = image("CR", Rows=SIDE, Columns=SIDE, PatientName="Kanarie^Jan")
    dataset.PixelData = bytes(SIDE * SIDE * 2)
    for number, plane in enumerate(planes):
        first = (group + 2 * number) << 16
        for element, vr, value in [
            (0x10, "US", plane.shape[0]),
            (0x11, "US", plane.shape[1]),
            (0x22, "LO", "Kanarie"),
            (0x40, "CS", "G"),
            (0x50, "SS", [1, 1]),
            (0x100, "US", 1),
            (0x102, "US", 0),
            (0x1500, "LO", "Kanarie"),
            (0x3000, "OW", np.packbits(plane, bitorder="little").tobytes()),
            (0x4000, "LT", "Kanarie"),
        ]:
            dataset.add_new(first | element, vr, changes.get(f"x{element:04x}", value))
    return dataset


def planes_of(content: bytes) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for element in pydicom.dcmread(io.BytesIO(content)):
        if element.tag.group >> 8 == 0x60:
            found.setdefault(element.tag.group, set()).add(element.tag.element)
    return found


def deidentified(dataset: pydicom.FileDataset, *options: str) -> bytes:
    return deidentify_instance(part10(dataset), pseudonyms=EphemeralPseudonyms(), options=options).content


def test_the_basic_profile_removes_every_plane() -> None:
    assert planes_of(deidentified(with_planes(drawn(), drawn("Kanarie")))) == {}


def test_a_drawing_stays_and_a_text_goes() -> None:
    made = deidentified(with_planes(drawn(), drawn("KANARIE JAN"), drawn()), "clean-graphics")
    assert planes_of(made) == {GROUP: KEPT, GROUP + 4: KEPT}
    assert b"anarie" not in made
    assert np.array_equal(pydicom.dcmread(io.BytesIO(made)).overlay_array(GROUP), drawn())


def test_a_plane_of_a_device_with_three_letters_on_it_goes() -> None:
    """It shows a region, a mark of orientation, and "Tra"."""
    before = pydicom.dcmread(str(get_testdata_file("MR-SIEMENS-DICOM-WithOverlays.dcm")))
    assert planes_of(part10(before)).keys() == {GROUP}
    assert planes_of(deidentified(before, "clean-graphics")) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"x0100": 16},
        {"x0040": "KANARIE"},
        {"x0010": SIDE - 1},
        {"x0010": 0},
        {"x3000": b"Kanarie Jan "},
        {"x3000": np.packbits(drawn(), bitorder="little").tobytes() + b"Kanarie!"},
        {"x0050": [1, 1, 1]},
    ],
    ids=["bits", "type", "rows", "no rows", "text as data", "text after data", "origin"],
)
def test_what_has_not_the_form_of_a_plane_goes(changes: dict[str, object]) -> None:
    options = ("clean-graphics", "clean-pixel-data")  # the second lets planes in the pixels through
    assert planes_of(deidentified(with_planes(drawn(), **changes), *options)) == {}


def test_groups_that_are_no_overlays_go() -> None:
    assert planes_of(deidentified(with_planes(drawn(), group=0x6020), "clean-graphics")) == {}
