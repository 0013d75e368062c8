"""Encode a changed frame again, in the transfer syntax that it came in.

Lossless stays lossless. JPEG 2000 and JPEG-LS that came lossy are encoded without further loss, as their transfer
syntaxes allow. Only JPEG baseline loses: it keeps its own quantisation and subsampling, with which blocks that did not
change come out all but the same.

References
----------
DICOM PS3.5 A.4, PS3.3 C.7.6.1.1.5 (lossy compression)
"""

import io

import numpy as np
import pydicom
from PIL import Image, JpegImagePlugin
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from osler.deidentify.dicom.burned_in.boxes import Box
from osler.deidentify.dicom.burned_in.frames import Form, Values, decode, fill, options
from osler.deidentify.dicom.burned_in.jpeg_lossless import write_jpeg_lossless
from osler.errors import DeidentificationRefused

_PREFIX = "1.2.840.10008.1.2."
BASELINE = frozenset({_PREFIX + "4.50", _PREFIX + "4.51"})
_JPEG_LOSSLESS = frozenset({_PREFIX + "4.57", _PREFIX + "4.70"})
_ENCODERS = {
    _PREFIX + "5": RLELossless,
    _PREFIX + "4.80": JPEGLSLossless,
    _PREFIX + "4.81": JPEGLSLossless,
    _PREFIX + "4.90": JPEG2000Lossless,
    _PREFIX + "4.91": JPEG2000Lossless,
}


def encode(values: Values, dataset: pydicom.Dataset, form: Form) -> bytes:
    """Encode a frame without loss and prove it by decoding.

    Parameters
    ----------
    values : ndarray, shape (row, column) or (row, column, sample)

    Raises
    ------
    DeidentificationRefused
        If nothing here encodes its transfer syntax, or what came out is not what went in.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    given = np.ascontiguousarray(values)
    try:
        if syntax in _JPEG_LOSSLESS:
            frame = write_jpeg_lossless(given, form.high_bit + 1)
        elif syntax in _ENCODERS:
            settings = options(dataset, form) | {"transfer_syntax_uid": _ENCODERS[syntax]}
            if form.photometric == "YBR_ICT":
                settings["photometric_interpretation"] = "YBR_RCT"
            settings.pop("pixel_keyword")
            frame = get_encoder(_ENCODERS[syntax]).encode(given, **settings)
        else:
            raise DeidentificationRefused("pixel-codec", "nothing here encodes pixels of this transfer syntax again")
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise DeidentificationRefused("pixel-codec", "a cleaned frame cannot be encoded again") from type(error)()
    if not np.array_equal(decode(frame, dataset, form), values):
        raise DeidentificationRefused("pixel-codec", "a cleaned frame does not come back as it was encoded")
    return frame + b"\0" * (len(frame) % 2)


def encode_baseline(frame: bytes, boxes: list[Box], form: Form) -> bytes:
    """Blank boxes of a JPEG baseline frame and encode it with its own quantisation tables and subsampling.

    Raises
    ------
    DeidentificationRefused
        If it is not of 8 bits.
    """
    if form.allocated != 8:
        raise DeidentificationRefused("pixel-codec", "nothing here encodes JPEG of 12 bits again")
    with Image.open(io.BytesIO(frame), formats=["JPEG"]) as image:
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            raise DeidentificationRefused("pixel-codec", "a compressed frame is not what its transfer syntax says")
        as_rgb = form.photometric == "RGB"
        if image.mode == "RGB" and not as_rgb:
            image.draft("YCbCr", image.size)
        tables, layers = image.quantization, image.layer
        factors = {(layers[0][1] // layer[1], layers[0][2] // layer[2]) for layer in layers[1:]}
        values = np.array(image)
    lightness = values if values.ndim == 2 else values.max(axis=2) if as_rgb else values[..., 0].copy()
    for box in boxes:
        fill(values, box, lightness)
    encoded = io.BytesIO()
    picture = Image.fromarray(values) if as_rgb or values.ndim == 2 else Image.fromarray(values, mode="YCbCr")
    extra = {"subsampling": {(1, 1): 0, (2, 1): 1, (2, 2): 2}.get(next(iter(factors), (1, 1)), 0)}
    if as_rgb:
        extra["keep_rgb"] = True
    picture.save(encoded, "JPEG", qtables=tables, **(extra if values.ndim == 3 else {}))
    return encoded.getvalue() + b"\0" * (encoded.tell() % 2)
