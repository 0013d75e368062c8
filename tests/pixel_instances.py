"""Instances with text planted into their pixels."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from osler.deidentify.dicom.burned_in import Box

NAME, MARK, SCALE = "DOE^JANE 4471882", "R", "10 cm"
NAME_BOX, MARK_BOX, SCALE_BOX = Box(10, 16, 44, 256), Box(108, 24, 140, 48), Box(158, 24, 188, 100)
KNOWN = {"name": [{"family": "DOE", "given": ["JANE"]}], "identifier": [{"value": "4471882"}]}


def ink() -> npt.NDArray[np.float64]:
    """Return a mask of shape (200, 256), 0 to 1, of a name, an orientation mark and a scale."""
    font = ImageFont.load_default(size=20)
    image = Image.new("L", (256, 200))
    draw = ImageDraw.Draw(image)
    for text, at in ((NAME, (24, 16)), (MARK, (28, 112)), (SCALE, (28, 162))):
        draw.text(at, text, font=font, fill=255)
    return np.asarray(image, np.float64) / 255


def grey(highest: int, lowest: int = 0) -> npt.NDArray[np.float64]:
    """Return a picture with text, of whole values from ``lowest`` to ``highest``."""
    rows, columns = np.mgrid[:200, :256]
    ground = 0.25 + 0.1 * np.sin(rows / 40) * np.cos(columns / 50)
    mask = ink()
    return np.rint((ground * (1 - mask) + mask) * (highest - lowest)) + lowest


def instance(pixels: npt.NDArray[Any], *, photometric: str = "MONOCHROME2", **attributes: Any) -> pydicom.Dataset:
    """Return an instance of native pixels, shape (row, column[, sample]), of grey ones also (frame, row, column)."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality, dataset.BurnedInAnnotation = "OT", "YES"
    colour = photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    shape = pixels.shape[:-1] if colour else pixels.shape
    dataset.Rows, dataset.Columns = shape[-2:]
    if len(shape) == 3:
        dataset.NumberOfFrames = shape[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3 if colour else 1), photometric
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if colour:
        dataset.PlanarConfiguration = 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    return dataset


def encoded(dataset: pydicom.Dataset) -> bytes:
    """Return a Part 10 file."""
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def decoded(content: bytes) -> pydicom.FileDataset:
    """Read a Part 10 file."""
    return pydicom.dcmread(io.BytesIO(content))


def pydicom_file(name: str) -> bytes:
    """Return a file of pydicom's test data."""
    return Path(str(get_testdata_file(name))).read_bytes()
