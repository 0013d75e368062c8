"""A heatmap over the image that it explains, as pictures for people."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from osler.errors import IntegrityError

SHORTEST_SIDE: Final = 512
LONGEST_SIDE: Final = 1024
"""The longer side of a picture lies between the two, pixels: legible, and small beside the original."""

_MAX_PIXELS: Final = 64_000_000
_WEAK: Final = np.array([255.0, 205.0, 90.0])
_STRONG: Final = np.array([235.0, 45.0, 40.0])
_OPACITY: Final = 0.6
_STEEPNESS: Final = 1.5


def picture(grey: npt.NDArray[np.float32]) -> Image.Image:
    """Turn grey values into a picture of a size for the screen.

    Parameters
    ----------
    grey : ndarray of float32, shape (row, column), in [0, 1]

    Returns
    -------
    PIL.Image.Image
        Mode L, the aspect kept, the longer side 512 to 1024 pixels.
    """
    made = Image.fromarray(np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8))
    longer = max(made.size)
    scale = min(max(longer, SHORTEST_SIDE), LONGEST_SIDE) / longer
    if scale == 1:
        return made
    size = (max(1, round(made.width * scale)), max(1, round(made.height * scale)))
    return made.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX)


def heat(png: bytes, size: tuple[int, int]) -> Image.Image:
    """Turn a heatmap into a transparent coloured layer: the stronger, the redder and the less transparent.

    Parameters
    ----------
    png : bytes
        8-bit greyscale PNG over the whole image, any size.
    size : (int, int)
        Columns and rows of the layer, pixels.

    Returns
    -------
    PIL.Image.Image
        Mode RGBA.

    Raises
    ------
    IntegrityError
        If it is not such a PNG.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise IntegrityError("a heatmap is larger than any image")
            values = np.asarray(opened.convert("L").resize(size, Image.Resampling.BILINEAR), dtype=np.float64) / 255
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise IntegrityError("a heatmap cannot be read as a PNG file") from None
    layer = np.empty((*values.shape, 4), dtype=np.uint8)
    layer[..., :3] = np.rint(_WEAK + values[..., None] * (_STRONG - _WEAK))
    layer[..., 3] = np.rint(values**_STEEPNESS * _OPACITY * 255)
    return Image.fromarray(layer)


def over(base: Image.Image, layer: Image.Image) -> Image.Image:
    """Lay a transparent layer over a picture; mode RGB."""
    return Image.alpha_composite(base.convert("RGBA"), layer).convert("RGB")


def png(image: Image.Image) -> bytes:
    """Write a picture as PNG, without metadata."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=False)
    return stream.getvalue()
