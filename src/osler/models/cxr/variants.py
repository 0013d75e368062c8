"""The same radiograph as other machines would send it, to measure that the answer stays. Never imported at run time."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

Square = npt.NDArray[np.uint8]


def plain(square: Square) -> pydicom.Dataset:
    """8 bits, MONOCHROME2, as small as the source."""
    return _dataset(square, bits=8)


def large(square: Square) -> pydicom.Dataset:
    """Four times the rows and columns."""
    return _dataset(_resized(square, 4.0, 4.0), bits=8)


def wide(square: Square) -> pydicom.Dataset:
    """Twelve times the columns, nine times the rows: the size and the aspect ratio of a real detector."""
    return _dataset(_resized(square, 9.0, 12.0), bits=8)


def inverted(square: Square) -> pydicom.Dataset:
    """MONOCHROME1."""
    dataset = _dataset(255 - square, bits=8)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    return dataset


def windowed(square: Square) -> pydicom.Dataset:
    """12 bits with a window, and values beyond it."""
    values = square.astype(np.uint16) * 8 + 800
    values[0, :8] = 4095
    dataset = _dataset(values, bits=12)
    dataset.WindowCenter, dataset.WindowWidth = 800 + 8 * 127.5 + 0.5, 8 * 255 + 1
    return dataset


def signed(square: Square) -> pydicom.Dataset:
    """16 bits, signed, rescaled, padded around, no window."""
    values = np.pad(square.astype(np.int16) * 20 - 1000, 2, constant_values=-2000)
    dataset = _dataset(values.view(np.uint16), bits=16)
    dataset.PixelRepresentation, dataset.PixelPaddingValue = 1, -2000
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, 100
    return dataset


VARIANTS: Final[dict[str, Callable[[Square], pydicom.Dataset]]] = {
    "8 bit": plain,
    "enlarged 4 times": large,
    "detector size and aspect": wide,
    "MONOCHROME1": inverted,
    "12 bit, windowed": windowed,
    "16 bit signed, padded, no window": signed,
}


def _resized(square: Square, rows: float, columns: float) -> Square:
    size = (round(square.shape[1] * columns), round(square.shape[0] * rows))
    return np.asarray(Image.fromarray(square).resize(size, Image.Resampling.BICUBIC))


def _dataset(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], *, bits: int) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = values.dtype.itemsize * 8, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = values.tobytes()
    return dataset
