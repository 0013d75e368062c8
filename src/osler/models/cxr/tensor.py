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


def figures_of(grey: npt.NDArray[np.float32], tensor: npt.NDArray[np.float32]) -> dict[str, float]:
    """Describe an image in numbers, so that a change of machines or of exposure can be seen over many.

    Parameters
    ----------
    grey : ndarray of float32, shape (row, column), in [0, 1]
        Before its grey values are stretched; a sample of its pixels is enough.
    tensor : ndarray of float32, shape (224, 224), in [0, 1]

    Returns
    -------
    dict of str to float
        Of the image: ``mean``, ``spread`` and percentiles ``p01``, ``p50``, ``p99``. Of the tensor: its mean,
        ``stretched_mean``, and the mean step between neighbours, ``sharpness``.
    """
    step = max(1, min(grey.shape) // SIDE)
    sample = grey[::step, ::step]
    p01, p50, p99 = np.percentile(sample, (1, 50, 99))
    return {
        "mean": float(sample.mean()),
        "spread": float(sample.std()),
        "p01": float(p01),
        "p50": float(p50),
        "p99": float(p99),
        "stretched_mean": float(tensor.mean()),
        "sharpness": float(np.abs(np.diff(tensor, axis=1)).mean()),
    }
