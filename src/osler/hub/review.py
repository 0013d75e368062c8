"""A sheet with the pixels of an instance, for a person who decides whether they show an identity."""

import io
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.pixels.utils import pixel_array

from osler.deidentify.dicom.burned_in import PackagedReader, clean_pixels
from osler.deidentify.dicom.burned_in.review import review_sheet
from osler.errors import ConfigError, Malformed
from osler.storage.private_files import write_private

MOST_FRAMES: Final = 16
"""Frames on a sheet, spread evenly; one frame alone is shown in full size."""
SIDE: Final = 512
"""Longest side of a frame among several, pixels."""


def draw_sheet(content: bytes, path: Path) -> tuple[bytes, str]:
    """Draw the frames of an identified instance, as the name of the file for them asks.

    A name that ends in ``.html`` gives a page with a box around each text that is found in the pixels, before and after
    blanking; another gives a PNG file with the frames alone.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file.
    path : Path
        Must not be there yet; it is not written.

    Returns
    -------
    bytes
    str
        How many frames were shown or looked at, for people: ``3 of 3``.

    Raises
    ------
    Malformed, DeidentificationRefused
        If the pixels cannot be decoded or looked at.
    ConfigError
        If the file is there.
    """
    if path.exists():
        raise ConfigError("the file for the sheet is there already")
    return _page(content) if path.suffix == ".html" else _frames(content)


def keep_sheet(sheet: bytes, path: Path) -> None:
    """Write a sheet into a file that only its owner can read.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    try:
        write_private(path, sheet)
    except OSError as error:
        raise ConfigError(f"the sheet cannot be written: {error.strerror}") from None


def _page(content: bytes) -> tuple[bytes, str]:
    cleaned = clean_pixels(content, known={}, reader=PackagedReader())
    return review_sheet(content, cleaned), f"{cleaned.frames} of {cleaned.frames}"


def _frames(content: bytes) -> tuple[bytes, str]:
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        count = int(dataset.get("NumberOfFrames") or 1)
        shown = np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int).tolist()
        pictures = [_picture(dataset, number) for number in shown]
    except (InvalidDicomError, ValueError, AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError):
        raise Malformed("the pixels cannot be decoded, so there is no sheet") from None
    stream = io.BytesIO()
    _tiled(pictures).save(stream, "PNG")
    return stream.getvalue(), f"{len(shown)} of {count}"


def _picture(dataset: pydicom.Dataset, number: int) -> Image.Image:
    values = pixel_array(dataset, index=number, raw=True)
    space = str(dataset.get("PhotometricInterpretation", ""))
    if space == "PALETTE COLOR":
        values = apply_color_lut(values, dataset)
    elif space.startswith("YBR_FULL"):
        values = convert_color_space(values, space, "RGB")
    return Image.fromarray(_eight_bits(values, inverted=space == "MONOCHROME1"))


def _eight_bits(values: npt.NDArray[Any], *, inverted: bool) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint8 and not inverted:
        return values
    exact = values.astype(np.float32)
    low, high = float(exact.min()), float(exact.max())
    scaled = (exact - low) * (255.0 / max(high - low, 1.0))
    return (255.0 - scaled if inverted else scaled).astype(np.uint8)


def _tiled(pictures: list[Image.Image]) -> Image.Image:
    if len(pictures) == 1:
        return pictures[0]
    for picture in pictures:
        picture.thumbnail((SIDE, SIDE))
    columns = math.ceil(math.sqrt(len(pictures)))
    width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    sheet = Image.new("RGB", (columns * width, math.ceil(len(pictures) / columns) * height))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % columns * width, index // columns * height))
    return sheet
