"""From a DICOM image to grey values as a person would see them.

The order is that of the standard's grey-scale transformations (PS3.4 N.2, PS3.3 C.11): stored values, Modality LUT,
VOI LUT, presentation. Whatever the bytes are, the answer is an array or a :class:`~osler.errors.Malformed` that quotes
none of them.
"""

import copy
import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLossless, RLELossless

from osler.errors import Malformed, UnsupportedKind
from osler.models.cxr import lut
from osler.models.cxr.codestream import frame_size

MAX_PIXELS: Final = 50_000_000
"""Largest Rows times Columns that is decoded; the largest detectors have about 20 million."""

LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green, blue: the Y of the standard's YBR_FULL (PS3.3 C.7.6.3.1.2)."""

READ_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    pydicom.errors.InvalidDicomError,
)
"""What pydicom, Pillow, OpenJPEG, CharLS and GDCM raise, or may, on damaged files and pixel data."""


def read_grey(dataset: pydicom.Dataset) -> npt.NDArray[np.float32]:
    """Grey values of a single-frame image, larger is brighter on the screen.

    Parameters
    ----------
    dataset : Dataset
        A whole image: the Image Pixel, Modality LUT and VOI LUT modules and Presentation LUT Shape are read.

    Returns
    -------
    ndarray of float32, shape (row, column), in [0, 1]

    Raises
    ------
    Malformed
        If the attributes contradict each other or the pixel data, or the pixel data cannot be decoded.
    UnsupportedKind
        If it has several frames, floating-point pixels, or a transfer syntax for which there is no decoder.

    Notes
    -----
    An image without VOI LUT and window is shown over the whole range of its values, padding left out. Padding (Pixel
    Padding Value (0028,0120) up to Pixel Padding Range Limit (0028,0121), PS3.3 C.7.5.1.1.2) becomes black. MONOCHROME1
    is inverted (C.7.6.3.1.2), and so is Presentation LUT Shape INVERSE; a DX image says both (C.8.11.3.1.2) and is
    inverted once.

    References
    ----------
    DICOM PS3.3 C.7.6.3, C.7.5.1.1.2, C.8.11.3, C.11.1, C.11.2; PS3.4 N.2
    """
    check_geometry(dataset)
    try:
        decoded, described = decode(dataset)
        if decoded.ndim == 3:
            return luminance(decoded, described)
        stored = stored_values(decoded, dataset)
        padding = padding_mask(stored, dataset)
        return present(lut.modality(stored, dataset), padding, dataset)
    except (Malformed, UnsupportedKind):
        raise
    except READ_ERRORS as error:
        raise Malformed("the pixel data cannot be decoded") from without_text(error)


def check_geometry(dataset: pydicom.Dataset) -> None:
    """Refuse sizes that cannot be, before anything of that size is allocated (PS3.3 C.7.6.3)."""
    numbers = {}
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        value = dataset.get(keyword)
        if not isinstance(value, int) or value < 1:
            raise Malformed(f"{keyword} is missing or impossible")
        numbers[keyword] = value
    if numbers["Rows"] * numbers["Columns"] > MAX_PIXELS:
        raise Malformed("the image is larger than any radiograph")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise UnsupportedKind("floating-point pixels are not read")
    if "PixelData" not in dataset:
        raise Malformed("there is no pixel data")
    if numbers["BitsAllocated"] not in (8, 16, 32):
        raise UnsupportedKind("Bits Allocated is not 8, 16 or 32")
    if str(dataset.get("NumberOfFrames") or 1) != "1":
        raise UnsupportedKind("the image has several frames")
    bits, allocated = dataset.get("BitsStored", 0), numbers["BitsAllocated"]
    if not 1 <= bits <= dataset.get("HighBit", bits - 1) + 1 <= allocated:
        raise Malformed("Bits Stored and High Bit do not fit Bits Allocated")


def decode(dataset: pydicom.Dataset) -> tuple[npt.NDArray[np.integer], dict[str, Any]]:
    """Decode the pixel data, whichever the transfer syntax; colour comes out as RGB.

    Returns
    -------
    (ndarray of int, shape (row, column) or (row, column, 3); mapping)
        The values, and how pydicom describes them.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnsupportedKind("there is no decoder for the transfer syntax") from error
    if syntax.is_encapsulated and syntax != RLELossless:
        first = next(generate_frames(dataset.PixelData, number_of_frames=1))
        if frame_size(first) not in (None, (dataset.Rows, dataset.Columns)):
            raise Malformed("Rows and Columns are not those of the compressed image")
    if syntax == JPEGExtended12Bit and dataset.BitsStored > 8:
        decoder, dataset = get_decoder(JPEGLossless), _relabelled(dataset, JPEGLossless)
    decoded, described = decoder.as_array(dataset, index=0, raw=False)
    if described["photometric_interpretation"] == "PALETTE COLOR":
        decoded = apply_color_lut(decoded, dataset)
        described = {**described, "bits_stored": decoded.dtype.itemsize * 8}
    return decoded, described


def stored_values(decoded: npt.NDArray[np.integer], dataset: pydicom.Dataset) -> npt.NDArray[np.integer]:
    """Take the stored value out of its cell: Bits Stored bits that end at High Bit, signed or not (PS3.5 8.1.1).

    The other bits of a cell are no part of the value (older images keep overlays there). Codecs other than RLE work on
    values, not on cells, and have nothing to take out.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if bits == allocated or (syntax.is_encapsulated and syntax != RLELossless):
        return decoded
    above = allocated - 1 - int(dataset.get("HighBit", bits - 1))
    width = np.dtype(f"{'i' if dataset.get('PixelRepresentation', 0) else 'u'}{allocated // 8}")
    return (decoded.astype(width) << above) >> (allocated - bits)


def padding_mask(stored: npt.NDArray[np.integer], dataset: pydicom.Dataset) -> npt.NDArray[np.bool_] | None:
    """Where the image holds padding rather than measurements, or None (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return (stored >= low) & (stored <= high)


def present(
    values: npt.NDArray[np.float32], padding: npt.NDArray[np.bool_] | None, dataset: pydicom.Dataset
) -> npt.NDArray[np.float32]:
    """VOI LUT or window or the whole range, then inversion, then black padding; in [0, 1]."""
    shown = lut.voi(values, dataset)
    if shown is None:
        measured = values if padding is None else values[~padding]
        low, high = (measured.min(), measured.max()) if measured.size else (0.0, 0.0)
        shown = np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-6)), 0, 1)
    inverse = dataset.get("PresentationLUTShape") == "INVERSE"
    if inverse or dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    if padding is not None:
        shown[padding] = 0
    if not np.isfinite(shown).all():
        raise Malformed("the grey-scale transformations give no number")
    return shown


def luminance(rgb: npt.NDArray[np.integer], described: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Brightness of a colour image, in [0, 1]; modality and VOI LUT do not apply to colour (PS3.3 C.7.6.3.1.2)."""
    bright: npt.NDArray[np.float32] = rgb.astype(np.float32) @ LUMINANCE
    return (bright / np.float32(2 ** described["bits_stored"] - 1)).clip(0, 1)


def _relabelled(dataset: pydicom.Dataset, syntax: UID) -> pydicom.Dataset:
    """Return the same image under another transfer syntax.

    pydicom keeps 12-bit JPEG Extended from GDCM, whose decoder goes by the codestream and reads it as lossless JPEG.
    """
    relabelled = copy.copy(dataset)
    relabelled.file_meta = copy.copy(dataset.file_meta)
    relabelled.file_meta.TransferSyntaxUID = syntax
    return relabelled


def without_text(error: Exception) -> Exception:
    """Keep the kind of an error and not its message, which may quote the data."""
    return RuntimeError(type(error).__name__)
