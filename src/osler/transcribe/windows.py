"""Cuts a recording at its pauses into windows of speech that a model hears in one go."""

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from osler.transcribe.recognise import WINDOW_S

Samples = npt.NDArray[np.float32]
Speech = Callable[[Samples], Sequence[tuple[float, float]]]

_RATE: Final = 16_000
_OPEN_S: Final = 0.6
_SILENT: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Speech of at most 28 s, its pauses left out.

    Parameters
    ----------
    samples : ndarray of float32, shape (sample,), 16 kHz
    starts_s : tuple of float
        Where each piece of speech begins in the window, seconds.
    origins_s : tuple of float
        Where it begins in the recording, seconds.
    read_s : float
        How much of the recording had been read when the window was cut.
    """

    samples: Samples
    starts_s: tuple[float, ...]
    origins_s: tuple[float, ...]
    read_s: float

    @property
    def seconds(self) -> float:
        """How long the speech is."""
        return len(self.samples) / _RATE

    def span(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Return when in the recording a word was said, from its times in the window.

        A word lies in one piece of speech, that of its middle: recognisers are not exact to the tenth of a second.
        """
        piece = max(0, bisect.bisect_right(self.starts_s, (start_s + end_s) / 2) - 1)
        return self._at(start_s, piece), self._at(end_s, piece)

    def between(self, start_s: float, end_s: float) -> Samples:
        """Return the samples between two times of the recording that lie in one piece, or its part of them."""
        piece = max(0, bisect.bisect_right(self.origins_s, start_s + 0.01) - 1)
        first = self.starts_s[piece] + max(0.0, start_s - self.origins_s[piece])
        last = self.starts_s[piece + 1] if piece + 1 < len(self.starts_s) else self.seconds
        return self.samples[int(first * _RATE) : int(min(last, first + end_s - start_s) * _RATE)]

    def _at(self, time_s: float, piece: int) -> float:
        end = self.starts_s[piece + 1] if piece + 1 < len(self.starts_s) else self.seconds
        within = min(max(0.0, time_s - self.starts_s[piece]), end - self.starts_s[piece])
        return round(self.origins_s[piece] + within, 3)


def windows(blocks: Iterable[Samples], speech: Speech) -> Iterator[Window]:
    """Cut a track into windows; memory is that of some blocks, whatever the length.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (sample,), 16 kHz
    speech : callable
        Finds the speech in samples, as ``Recogniser.speech``.
    """
    pieces: list[tuple[float, Samples]] = []
    held = 0.0
    read_s = 0.0
    for origin_s, samples, read_s in _pieces(blocks, speech):
        for offset in range(0, len(samples), int(WINDOW_S * _RATE)):
            piece = samples[offset : offset + int(WINDOW_S * _RATE)]
            length = len(piece) / _RATE
            if pieces and held + length > WINDOW_S:
                yield _window(pieces, read_s)
                pieces, held = [], 0.0
            pieces.append((origin_s + offset / _RATE, piece))
            held += length
    if pieces:
        yield _window(pieces, read_s)


def _pieces(blocks: Iterable[Samples], speech: Speech) -> Iterator[tuple[float, Samples, float]]:
    """Yield (begins at s, samples, read s) of each piece of speech; what a block's end cuts off waits for the next."""
    rest, rest_at = np.zeros(0, dtype=np.float32), 0.0
    for block in blocks:
        buffer = np.concatenate([rest, block])
        length = len(buffer) / _RATE
        keep = max(0.0, length - _OPEN_S)
        if np.abs(buffer).max(initial=0.0) > _SILENT:
            for start, end in speech(buffer):
                if end > length - _OPEN_S and end - start < WINDOW_S - 1:
                    keep = start
                    break
                yield rest_at + start, _cut(buffer, start, end), rest_at + length
                keep = max(keep, end)
        rest = buffer[int(keep * _RATE) :]
        rest_at += (len(buffer) - len(rest)) / _RATE
    if len(rest) and np.abs(rest).max() > _SILENT:
        for start, end in speech(rest):
            yield rest_at + start, _cut(rest, start, end), rest_at + len(rest) / _RATE


def _cut(samples: Samples, start_s: float, end_s: float) -> Samples:
    return samples[int(start_s * _RATE) : int(end_s * _RATE)]


def _window(pieces: list[tuple[float, Samples]], read_s: float) -> Window:
    lengths = [len(samples) / _RATE for _, samples in pieces]
    starts = tuple(float(at) for at in np.cumsum([0.0, *lengths[:-1]]))
    return Window(np.concatenate([s for _, s in pieces]), starts, tuple(origin for origin, _ in pieces), read_s)
