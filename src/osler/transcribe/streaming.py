"""Words while somebody still speaks: what two hypotheses in a row agree on is stable, the rest is tentative.

The recogniser hears a growing buffer again and again: when a second of new audio is there, or somewhat more than the
last hearing took, so that it keeps up on a slow machine. What both of the last two hearings begin with will not change
any more (local agreement of two). What is stable leaves the buffer at the end of a sentence, at a pause, or when the
buffer is full. The transcript that counts is made of the whole recording at the end, by
:func:`osler.transcribe.transcriber.transcribe`.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from osler.domain.transcript import Word
from osler.errors import Malformed
from osler.transcribe.guards import Guard, Surroundings
from osler.transcribe.hotwords import Hints
from osler.transcribe.recognise import WINDOW_S, Recogniser

Samples = npt.NDArray[np.float32]

_RATE: Final = 16_000
_STEP_S: Final = 1.0
_LONGEST_S: Final = 16.0
_EASE: Final = 1.25
_KEPT_S: Final = 0.5
_PAUSE_S: Final = 0.5
_MOST_FED_S: Final = 60.0
_BARE: Final = re.compile(r"[^\w']+")


@dataclass(frozen=True, slots=True, repr=False)
class Partial:
    """What is known after some more audio.

    Parameters
    ----------
    stable : tuple of Word
        What became certain with it; times from the beginning of the stream. It is said once and does not change.
    tentative : str
        What may still change.
    """

    stable: tuple[Word, ...]
    tentative: str

    def __repr__(self) -> str:
        return f"Partial({len(self.stable)} words, <identified>)"


def from_pcm16(content: bytes) -> Samples:
    """Return the samples of 16-bit little-endian PCM, float32 in [-1, 1].

    Raises
    ------
    Malformed
        If it is half a sample too long.
    """
    if len(content) % 2:
        raise Malformed("PCM of 16 bits has an even number of bytes: send whole samples")
    return np.frombuffer(content, dtype="<i2").astype(np.float32) / 32768.0


class Stream:
    """Speech that comes in while it is spoken.

    Parameters
    ----------
    recogniser : Recogniser
    hints : Hints, optional
    language : str, optional
        BCP 47; detected when None.
    clock : callable
        Seconds that pass.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        hints: Hints | None = None,
        language: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recogniser = recogniser
        hints = hints or Hints()
        self._hotwords = hints.prompt()
        self._around = Surroundings(lambda _start, _end: 0.0, 0.0, hints.prompt_words())
        self._language = language
        self._clock = clock
        self._buffer: Samples = np.zeros(0, dtype=np.float32)
        self._start_s = 0.0
        self._heard_s = 0.0
        self._step_s = _STEP_S
        self._before: tuple[Word, ...] = ()
        self._stable_s = 0.0

    @property
    def seconds(self) -> float:
        """How much audio was fed."""
        return self._start_s + len(self._buffer) / _RATE

    def feed(self, samples: Samples) -> Partial:
        """Take more audio.

        Parameters
        ----------
        samples : ndarray of float32, shape (sample,), 16 kHz, in [-1, 1]
            At most a minute.

        Returns
        -------
        Partial
            Nothing stable when it is too early to hear again.

        Raises
        ------
        Malformed
            If it is more than a minute at once.
        PluginError
            If the model fails.
        """
        if len(samples) > _MOST_FED_S * _RATE:
            raise Malformed("feed at most a minute of audio at once")
        stable: list[Word] = []
        for part in np.split(samples, range(int(_STEP_S * _RATE), len(samples), int(_STEP_S * _RATE))):
            self._buffer = np.concatenate([self._buffer, np.asarray(part, dtype=np.float32)])
            if self.seconds - self._heard_s >= self._step_s or len(self._buffer) >= WINDOW_S * _RATE:
                stable += self._hear()
        return Partial(tuple(stable), _text(self._before))

    def finish(self) -> Partial:
        """Hear what is left; all of it is stable."""
        stable = self._hear()
        stable += self._commit(self._before)
        self._before = ()
        self._buffer, self._start_s = self._buffer[:0], self.seconds
        return Partial(tuple(stable), "")

    def _hear(self) -> list[Word]:
        began = self._clock()
        self._heard_s = self.seconds
        speech = self._recogniser.speech(self._buffer) if len(self._buffer) else ()
        if not speech:
            stable = self._commit(self._before)
            self._before = ()
            self._cut(self.seconds - _KEPT_S)
            return stable
        now = self._words()
        agreed = _agreed(self._before, now)
        stable = self._commit(now[:agreed])
        self._before = now[agreed:]
        paused = len(self._buffer) / _RATE - speech[-1][1] >= _PAUSE_S
        if paused:
            stable += self._commit(self._before)
            self._before = ()
            self._cut(self._start_s + speech[-1][1])
        elif stable and stable[-1].text.endswith((".", "?", "!")):
            self._cut(self._stable_s)
        elif len(self._buffer) >= _LONGEST_S * _RATE:
            stable += self._make_room()
        self._step_s = max(_STEP_S, _EASE * (self._clock() - began))
        return stable

    def _make_room(self) -> list[Word]:
        """Cut a full buffer after its stable words; without any, the first half of the others becomes stable."""
        stable: list[Word] = []
        if self._stable_s <= self._start_s + _LONGEST_S / 4:
            half = self._start_s + _LONGEST_S / 2
            stable = self._commit(tuple(word for word in self._before if word.end_s <= half))
            self._before = tuple(word for word in self._before if word.end_s > half)
            self._stable_s = max(self._stable_s, half)
        self._cut(self._stable_s)
        return stable

    def _words(self) -> tuple[Word, ...]:
        """Hear the buffer; return what comes after the stable words, with times of the stream."""
        heard = self._recogniser.recognise(self._buffer, language=self._language, hotwords=self._hotwords, quick=True)
        segments = Guard(self._around).keep(heard.segments)
        words = (word for segment in segments for word in segment.words)
        moved = (replace(w, start_s=self._start_s + w.start_s, end_s=self._start_s + w.end_s) for w in words)
        return tuple(word for word in moved if (word.start_s + word.end_s) / 2 > self._stable_s)

    def _commit(self, words: Sequence[Word]) -> list[Word]:
        if words:
            self._stable_s = max(self._stable_s, words[-1].end_s)
        return list(words)

    def _cut(self, until_s: float) -> None:
        """Drop what comes before a time of the stream."""
        samples = min(len(self._buffer), max(0, round((until_s - self._start_s) * _RATE)))
        self._buffer = self._buffer[samples:]
        self._start_s += samples / _RATE


def _agreed(before: Sequence[Word], now: Sequence[Word]) -> int:
    """Count the words that both begin with, whatever their case and punctuation."""
    number = 0
    for first, second in zip(before, now, strict=False):
        if _BARE.sub("", first.text.lower()) != _BARE.sub("", second.text.lower()):
            break
        number += 1
    return number


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
