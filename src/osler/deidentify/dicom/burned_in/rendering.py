"""Show stored values as 8-bit grey, in the ways in which text may be visible."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.uint8]
_SAMPLE = 1 << 16


def renderings(values: npt.NDArray[np.generic]) -> Iterator[Grey]:
    """Yield pictures of a frame's values that together show text of any brightness.

    The first spans the whole range. The second spans what all but the outermost values of the frame take, so that one
    extreme does not hide the rest. The third shows each place against its own surroundings, so that faint text is seen
    at any level, also far below and above the window.

    Parameters
    ----------
    values : ndarray of any real type, shape (row, column)

    Yields
    ------
    ndarray of uint8, shape (row, column)
    """
    exact = values.astype(np.float32)
    low, high = float(exact.min()), float(exact.max())
    if low == high:
        return
    yield _scaled(exact, low, high)
    step = max(exact.size // _SAMPLE, 1)
    bottom, top = np.percentile(exact.ravel()[::step], (2, 98)).tolist()
    if bottom < top and (top - bottom) < 0.5 * (high - low):
        yield _scaled(exact, bottom, top)
    yield _against_surroundings(exact)


def _scaled(values: npt.NDArray[np.float32], low: float, high: float) -> Grey:
    grey: Grey = np.clip((values - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    return grey


def _against_surroundings(values: npt.NDArray[np.float32]) -> Grey:
    """Return what differs from the mean around, in units of how much it differs around there."""
    difference = values - _mean(values, 24)
    spread = np.sqrt(_mean(np.square(difference), 48))
    floor = max(float(np.abs(difference).max()) / 4096, 1e-6)
    grey: Grey = np.clip(128 + difference * (64 / (spread + floor)), 0, 255).astype(np.uint8)
    return grey


def _mean(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Return the mean of squares of ``side`` pixels, smoothly joined."""
    image = Image.fromarray(values)
    return np.asarray(image.reduce(side).resize(image.size, Image.Resampling.BILINEAR))
