"""From a grey image of any size to what the network reads; training and inference both come through here."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE: Final = 224
"""Rows and columns of the network's input."""

PERCENTILES: Final = (0.5, 99.5)
"""Grey values that become 0 and 1: a few hot pixels, a marker or a burnt-in letter do not set the scale."""


def to_tensor(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Squash an image to the network's square and stretch its grey values.

    The aspect ratio is not kept, because the training images were squashed too. Reducing averages over the area that
    each new pixel covers, so that the number of source pixels does not matter.

    Parameters
    ----------
    grey : ndarray of float32, shape (row, column)
        Larger is brighter; any unit, any scale.

    Returns
    -------
    ndarray of float32, shape (224, 224), in [0, 1]
    """
    reducing = min(grey.shape) >= SIDE
    square = np.asarray(
        Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX if reducing else Image.Resampling.BILINEAR),
        dtype=np.float32,
    )
    low, high = np.percentile(square, PERCENTILES)
    if high <= low:
        return np.zeros_like(square)
    stretched: npt.NDArray[np.float32] = (square - np.float32(low)) / np.float32(high - low)
    return stretched.clip(0, 1)
