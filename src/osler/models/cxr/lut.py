"""The look-up tables and windows of DICOM's grey-scale transformations, as functions of arrays."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom

from osler.errors import Malformed

Grey = npt.NDArray[np.float32]

VOI_FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def modality(values: npt.NDArray[np.integer], dataset: pydicom.Dataset) -> Grey:
    """Modality LUT transformation: stored values to the manufacturer's output units.

    The first item of Modality LUT Sequence (0028,3000) if there is one, else Rescale Slope and Intercept if there are,
    else the values as they are.

    Parameters
    ----------
    values : ndarray of int, shape (row, column)
        Stored values.
    dataset : Dataset
        Its attributes of the Modality LUT module.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    Malformed
        If the table does not hold what its descriptor says.

    References
    ----------
    DICOM PS3.3 C.11.1, C.11.1.1
    """
    if sequence := dataset.get("ModalityLUTSequence"):
        return look_up(values, sequence[0], signed=bool(dataset.get("PixelRepresentation", 0)))[0]
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        return values.astype(np.float32)
    return values.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def voi(values: Grey, dataset: pydicom.Dataset) -> Grey | None:
    """VOI LUT transformation: to the range that the image's author meant to be seen.

    The first item of VOI LUT Sequence (0028,3010) if there is one, else the first window. The standard lets the reader
    choose between alternatives; the first is the one that a viewer shows.

    Returns
    -------
    ndarray of float32, same shape, in [0, 1]; None when the image has neither table nor window

    Raises
    ------
    Malformed
        If the table or the window cannot be applied.

    References
    ----------
    DICOM PS3.3 C.11.2, C.11.2.1.1, C.11.2.1.2
    """
    if sequence := dataset.get("VOILUTSequence"):
        # The first value mapped is signed as the input is; the output of a Modality LUT is unsigned (C.11.2.1.1).
        signed = bool(dataset.get("PixelRepresentation", 0)) and not dataset.get("ModalityLUTSequence")
        output, bits = look_up(values, sequence[0], signed=signed or float(values.min(initial=0)) < 0)
        return output / np.float32(2**bits - 1)
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None:
        return None
    return window(values, center=center, width=width, function=dataset.get("VOILUTFunction") or "LINEAR")


def window(values: Grey, *, center: float, width: float, function: str = "LINEAR") -> Grey:
    """Apply a window.

    Parameters
    ----------
    values : ndarray of float32
        Output units of the modality LUT.
    center, width : float, the same units
    function : str
        VOI LUT Function (0028,1056): LINEAR, LINEAR_EXACT or SIGMOID.

    Returns
    -------
    ndarray of float32, same shape, in [0, 1]

    Raises
    ------
    Malformed
        If the function is not one of the three, or the width is too small for it.

    References
    ----------
    DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT)
    """
    if function not in VOI_FUNCTIONS:
        raise Malformed("(0028,1056) VOI LUT Function is none of the standard's")
    if width < 1 if function == "LINEAR" else not width > 0:
        raise Malformed("(0028,1051) Window Width is too small for its VOI LUT Function")
    if function == "SIGMOID":
        exponent = np.clip((values - np.float32(center)) * np.float32(-4 / width), -80, 80)
        sigmoid: Grey = 1 / (1 + np.exp(exponent, dtype=np.float32))
        return sigmoid
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:  # C.11.2.1.2.1: with a width of 1, every value is either below or above
        return (values > np.float32(center)).astype(np.float32)
    ramp: Grey = (values - np.float32(center)) / np.float32(width) + np.float32(0.5)
    return ramp.clip(0, 1)


def look_up(values: npt.NDArray[np.generic], item: pydicom.Dataset, *, signed: bool) -> tuple[Grey, int]:
    """Map values through one LUT: those below its first value to the first entry, those above its last to the last.

    Parameters
    ----------
    values : ndarray
    item : Dataset
        Item with LUT Descriptor (0028,3002) and LUT Data (0028,3006).
    signed : bool
        How the descriptor's second value is to be read.

    Returns
    -------
    (ndarray of float32, int)
        The entries, and the number of bits of an entry.

    References
    ----------
    DICOM PS3.3 C.11.1.1.1, C.11.2.1.1
    """
    try:
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        table = _entries(item, count or 65536)
    except (AttributeError, TypeError, ValueError) as error:
        raise Malformed("(0028,3002) LUT Descriptor and (0028,3006) LUT Data do not agree") from error
    if not 1 <= bits <= 16:
        raise Malformed("(0028,3002) LUT Descriptor has an impossible number of bits")
    first = (first + 0x8000) % 0x10000 - 0x8000 if signed else first % 0x10000
    index = np.clip(np.rint(values.astype(np.float32)) - first, 0, len(table) - 1).astype(np.int32)
    return table[index].astype(np.float32), bits


def _entries(item: pydicom.Dataset, count: int) -> npt.NDArray[np.integer]:
    """LUT Data as numbers, whichever VR it has (US or OW; 8-bit entries may be packed two in a word)."""
    data = item.LUTData
    if isinstance(data, bytes):
        order = ">" if item.original_encoding[1] is False else "<"
        table: npt.NDArray[np.integer] = (
            np.frombuffer(data, dtype=f"{order}u2") if len(data) >= 2 * count else np.frombuffer(data, dtype=np.uint8)
        )
    else:
        table = np.asarray(data, dtype=np.int64) & 0xFFFF
    if len(table) < count:
        raise ValueError("fewer entries than the descriptor says")
    return table[:count]


def _first(value: Any) -> float | None:
    """Take the first of one or several values, or None when there is none."""
    if value is None or value == "":
        return None
    several = value if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]
    return float(several[0]) if several else None
