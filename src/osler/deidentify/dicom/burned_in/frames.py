"""The frames of an instance: stored values out, blanked values back in the same form.

References
----------
DICOM PS3.3 C.7.6.3 (Image Pixel Module), PS3.5 8.1.1 and annex A
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from osler.deidentify.dicom.burned_in.boxes import Box
from osler.errors import DeidentificationRefused, Malformed

Values = npt.NDArray[Any]
_FLOAT_PIXELS = ("FloatPixelData", "DoubleFloatPixelData")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class Form:
    """How the pixels of an instance are stored."""

    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: bool

    @property
    def subsampled(self) -> bool:
        """Whether two pixels of native data share their chrominance (PS3.3 C.7.6.3.1.2)."""
        return self.photometric == "YBR_FULL_422"


def form_of(dataset: pydicom.Dataset) -> Form:
    """Read how the pixels are stored.

    Raises
    ------
    Malformed
        If the attributes of the Image Pixel Module are missing or do not fit together.
    DeidentificationRefused
        If they are of a form in which text cannot be looked for.
    """
    try:
        form = Form(
            frames=int(dataset.get("NumberOfFrames") or 1),
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            samples=int(dataset.SamplesPerPixel),
            allocated=int(dataset.BitsAllocated),
            stored=int(dataset.BitsStored),
            high_bit=int(dataset.HighBit),
            signed=bool(dataset.PixelRepresentation),
            photometric=str(dataset.PhotometricInterpretation),
            planar=bool(dataset.get("PlanarConfiguration", 0)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise Malformed("the attributes that describe the pixels are missing or damaged") from error
    if min(form.frames, form.rows, form.columns) < 1 or not 0 < form.stored <= form.high_bit + 1 <= form.allocated:
        raise Malformed("the attributes that describe the pixels do not fit together")
    grey = form.photometric in _GREY or form.photometric == "PALETTE COLOR"
    if (form.samples, grey) not in ((1, True), (3, False)) or (not grey and form.photometric not in _COLOUR):
        raise DeidentificationRefused(
            "pixel-form", "text is not looked for in pixels of this photometric interpretation"
        )
    if form.allocated not in (8, 16, 32) or (form.samples == 3 and form.allocated != 8):
        raise DeidentificationRefused("pixel-form", "text is not looked for in pixels of this depth")
    return form


def check_pixels(dataset: pydicom.Dataset) -> bool:
    """Whether there are pixels to look at.

    Raises
    ------
    DeidentificationRefused
        If there are floating-point pixels, in which text is not looked for.
    """
    if any(keyword in dataset for keyword in _FLOAT_PIXELS):
        raise DeidentificationRefused("pixel-form", "text is not looked for in floating-point pixels")
    return "PixelData" in dataset


def encoded_frames(dataset: pydicom.Dataset, form: Form) -> Iterator[bytes]:
    """Yield the compressed frames, each joined of its fragments."""
    extended = None
    if "ExtendedOffsetTable" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    try:
        yield from generate_frames(dataset.PixelData, number_of_frames=form.frames, extended_offsets=extended)
    except (ValueError, EOFError) as error:
        raise Malformed("the compressed frames are damaged") from error


def decode(frame: bytes, dataset: pydicom.Dataset, form: Form) -> Values:
    """Decode one compressed frame to stored values, of shape (row, column) or (row, column, sample).

    Colours stay as the codec gives them: what a JPEG 2000 holds as YBR_RCT or YBR_ICT comes as RGB.

    Raises
    ------
    Malformed
        If it is of another size than the header says.
    DeidentificationRefused
        If it cannot be decoded here.
    """
    try:
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    except NotImplementedError as error:
        raise DeidentificationRefused("pixel-codec", "nothing here decodes pixels of this transfer syntax") from error
    try:
        values, _ = decoder.as_array(encapsulate([frame]), index=0, raw=True, validate=True, **options(dataset, form))
    except (RuntimeError, ValueError, AttributeError, TypeError, NotImplementedError) as error:
        raise DeidentificationRefused("pixel-codec", "a compressed frame cannot be decoded") from type(error)()
    if values.shape[:2] != (form.rows, form.columns):
        raise Malformed("a compressed frame is of another size than the header says")
    return np.array(values)


def options(dataset: pydicom.Dataset, form: Form) -> dict[str, Any]:
    """Return what the codecs of pydicom want to know of a frame."""
    return {
        "transfer_syntax_uid": dataset.file_meta.TransferSyntaxUID,
        "rows": form.rows,
        "columns": form.columns,
        "samples_per_pixel": form.samples,
        "number_of_frames": 1,
        "bits_allocated": form.allocated,
        "bits_stored": form.stored,
        "photometric_interpretation": form.photometric,
        "pixel_representation": int(form.signed),
        "planar_configuration": 0 if form.samples > 1 else None,
        "pixel_keyword": "PixelData",
    }


class NativeFrames:
    """Native pixel data, as views into one changeable buffer.

    Raises
    ------
    Malformed
        If the data is shorter than the header says.
    """

    def __init__(self, dataset: pydicom.Dataset, form: Form, *, big_endian: bool) -> None:
        if big_endian and form.allocated == 8:
            raise DeidentificationRefused("pixel-form", "text is not looked for in big endian words of bytes")
        self._form = form
        self.buffer = bytearray(dataset.PixelData)
        self._type = np.dtype(f"{'>' if big_endian else '<'}u{form.allocated // 8}")
        self._count = form.rows * form.columns * form.samples
        if form.subsampled:
            if form.columns % 2:
                raise Malformed("subsampled pixels have an odd number of columns")
            self._count = self._count * 2 // 3
        if len(self.buffer) < form.frames * self._count * self._type.itemsize:
            raise Malformed("pixel data is shorter than the header says")

    def view(self, index: int) -> Values:
        """Return the stored values of a frame, to be changed in place.

        The shape is (row, column), (row, column, sample), or (row, pair of columns, Y Y Cb Cr) for subsampled data.
        """
        form = self._form
        start = index * self._count * self._type.itemsize
        flat = np.frombuffer(self.buffer, self._type, self._count, start)
        if form.samples == 1:
            return flat.reshape(form.rows, form.columns)
        if form.subsampled:
            return flat.reshape(form.rows, form.columns // 2, 4)
        if form.planar:
            return flat.reshape(3, form.rows, form.columns).transpose(1, 2, 0)
        return flat.reshape(form.rows, form.columns, 3)


def without_other_bits(values: Values, form: Form) -> Values:
    """Return stored values without what stands beside the stored bits, such as a retired overlay (PS3.5 8.1.2).

    The result has the type of the input; of signed values the sign is extended.
    """
    low = form.high_bit + 1 - form.stored
    if form.allocated == form.stored:
        return values
    unsigned = values.astype(np.int64) >> low & (1 << form.stored) - 1
    if form.signed:
        unsigned -= (unsigned >> form.stored - 1) << form.stored
    return (unsigned << low).astype(values.dtype)


def light(values: Values, form: Form, dataset: pydicom.Dataset) -> Values:
    """Return how light each pixel is, of shape (row, column), from the stored values of a frame.

    MONOCHROME1 stays inverted: text is found in either polarity.
    """
    if form.photometric == "PALETTE COLOR":
        coloured = apply_color_lut(np.ascontiguousarray(values), dataset)[..., :3]
        return np.asarray(coloured.max(axis=2))
    if form.samples == 1:
        exact = without_other_bits(values, form)
        return exact.view(exact.dtype.str.replace("u", "i")) if form.signed else exact
    if values.shape[2] == 4:
        return values[..., :2].reshape(form.rows, form.columns)
    if form.photometric == "YBR_FULL" or form.subsampled:
        return values[..., 0]
    # The lightest sample and not the luminance: blue or red text on black is as clear as white.
    return np.asarray(values.max(axis=2))


def fill(values: Values, box: Box, lightness: Values) -> None:
    """Blank a box to what surrounds it: the pixel of median lightness of the ring around.

    Parameters
    ----------
    values : ndarray, shape as of :meth:`NativeFrames.view`
    box : Box
        In columns of the picture.
    lightness : ndarray, shape (row, column)
    """
    shape = (lightness.shape[0], lightness.shape[1])
    outer = box.grown(2, 2, shape)
    rows, columns = np.mgrid[outer.top : outer.bottom, outer.left : outer.right]
    ring = (rows < box.top) | (rows >= box.bottom) | (columns < box.left) | (columns >= box.right)
    if not ring.any():
        ring[0, 0] = True
    order = np.argsort(lightness[rows[ring], columns[ring]], kind="stable")
    middle = int(order[len(order) // 2])
    row, column = int(rows[ring][middle]), int(columns[ring][middle])
    if values.ndim == 3 and values.shape[2] == 4:
        pair = values[row, column // 2].copy()
        pair[:2] = values[row, column // 2, column % 2]
        values[box.top : box.bottom, box.left // 2 : -(-box.right // 2)] = pair
        return
    values[box.top : box.bottom, box.left : box.right] = values[row, column].copy()
