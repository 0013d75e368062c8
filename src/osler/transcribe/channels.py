"""Whether the two channels of a recording are two speakers."""

from typing import Final

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.float32]
Track = tuple[int, ...]

FLOOR_DB: Final = -100.0
"""What digital silence counts as, dB of full scale."""

_SILENCE_DB: Final = -80.0
_QUIET_DB: Final = -32.0
_WANTED_DB: Final = -22.0
_MOST_DB: Final = 40.0
_DEAD_DB: Final = 30.0
_APART_DB: Final = 6.0
_SHARE: Final = 0.08
_ACTIVE_DB: Final = 25.0


def level_db(samples: npt.NDArray[np.float32], frame: int) -> Levels:
    """Measure the root mean square of frames.

    Parameters
    ----------
    samples : ndarray of float32, shape (channel, sample), in [-1, 1]
    frame : int
        Samples of a frame; the last may be shorter.

    Returns
    -------
    ndarray of float32, shape (channel, frame), dB of full scale, at least -100
    """
    channels, length = samples.shape
    padded = np.zeros((channels, -(-length // frame) * frame), dtype=np.float32)
    padded[:, :length] = samples
    power = np.square(padded.reshape(channels, -1, frame)).mean(axis=2)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0))), dtype=np.float32)


def loudness_db(levels: Levels) -> float:
    """Return how loud a channel is where it is loud: the 95th percentile of what is no silence, dB of full scale."""
    heard = levels[levels > _SILENCE_DB]
    return float(np.percentile(heard, 95)) if heard.size else FLOOR_DB


def gain(loudness: float) -> float:
    """Return the factor that makes a quiet recording loud enough for the detector of speech; 1 for the others."""
    if loudness >= _QUIET_DB or loudness <= _SILENCE_DB:
        return 1.0
    return float(10.0 ** (min(_WANTED_DB - loudness, _MOST_DB) / 20.0))


def tracks(levels: Levels) -> tuple[Track, ...]:
    """Decide what to transcribe: one track of all channels, the live one alone, or two that differ.

    Two channels are two speakers when each is by 6 dB the louder, measured against its own loudness, in a good part of
    the time in which somebody speaks. One microphone in two channels, or two microphones that hear the same, are one.

    Parameters
    ----------
    levels : ndarray of float32, shape (channel, frame), dB of full scale
    """
    channels = levels.shape[0]
    if channels != 2:
        return (tuple(range(channels)),)
    loud = np.array([loudness_db(channel) for channel in levels])
    if abs(loud[0] - loud[1]) >= _DEAD_DB:
        return ((int(np.argmax(loud)),),)
    relative = np.maximum(levels - loud[:, np.newaxis], -_ACTIVE_DB * 2)
    active = relative.max(axis=0) > -_ACTIVE_DB
    if not active.any():
        return ((0, 1),)
    difference = (relative[0] - relative[1])[active]
    first, second = (float((side > _APART_DB).mean()) for side in (difference, -difference))
    return ((0,), (1,)) if min(first, second) >= _SHARE else ((0, 1),)
