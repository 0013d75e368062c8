"""What hears: a port, and faster-whisper behind it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from osler.domain.transcript import SpeechModel, Word
from osler.errors import ConfigError, PluginError
from osler.transcribe.extra import load

Samples = npt.NDArray[np.float32]

WINDOW_S: Final = 28.0
"""Longest piece that is recognised in one go; Whisper hears 30 s."""

LOOP_RATIO: Final = 2.4
"""Compression above which a text is a loop."""

_BEAM: Final = 5
_LIKELY: Final = -0.8
_RATE: Final = 16_000
_TOKENS: Final = 24
_TOKENS_PER_S: Final = 8
"""Nobody speaks faster: without the bound a loop runs to the end of the model's memory."""


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """What was heard in one go.

    Parameters
    ----------
    text : str
    start_s, end_s : float
        From the beginning of the samples, seconds.
    words : tuple of Word
    log_probability : float
        Mean over the tokens, natural logarithm.
    no_speech_probability : float
        That nobody speaks, 0 to 1.
    compression_ratio : float
        Of the text under zlib; high for loops.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    log_probability: float = 0.0
    no_speech_probability: float = 0.0
    compression_ratio: float = 1.0

    def __repr__(self) -> str:
        return f"Segment({self.start_s:.2f}-{self.end_s:.2f} s, <identified>)"


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recogniser heard.

    Parameters
    ----------
    segments : tuple of Segment
    language : str
        BCP 47.
    language_probability : float
        1 when the language was told, or the model knows but one.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float = 1.0


class Recogniser(Protocol):
    """Hears speech."""

    @property
    def model(self) -> SpeechModel:
        """The model that hears."""
        ...

    def speech(self, samples: Samples) -> Sequence[tuple[float, float]]:
        """Find where somebody speaks.

        Parameters
        ----------
        samples : ndarray of float32, shape (sample,), 16 kHz, in [-1, 1]

        Returns
        -------
        sequence of (start_s, end_s)
            Ordered, apart; none longer than 28 s.
        """
        ...

    def recognise(
        self, samples: Samples, *, language: str | None = None, hotwords: str = "", quick: bool = False
    ) -> Recognition:
        """Write down what is said.

        Parameters
        ----------
        samples : ndarray of float32, shape (sample,), 16 kHz, at most 30 s
        language : str, optional
            BCP 47; detected when None.
        hotwords : str
            Words to expect.
        quick : bool
            For speech that is still going on: the first guess, no second try.

        Raises
        ------
        PluginError
            If the model cannot be run.
        """
        ...


class FasterWhisper:
    """A Whisper model under CTranslate2, with the Silero voice activity detector that faster-whisper brings.

    Parameters
    ----------
    path : Path
        Folder of the model; nothing is looked for elsewhere.
    model : SpeechModel
    threads : int
        For one recognition; 0 for what the library takes.

    Raises
    ------
    ConfigError
        If the extra ``scribe`` is not installed, or the model cannot be loaded.
    """

    def __init__(self, path: Path, model: SpeechModel, *, threads: int = 0) -> None:
        library = load("faster_whisper")
        self._vad = load("faster_whisper.vad")
        self._runtime = load("ctranslate2")
        self._model = model
        self._runtime.set_log_level(logging.ERROR)
        graphics = self._runtime.get_cuda_device_count() > 0
        try:
            self._whisper = library.WhisperModel(
                str(path),
                device="cuda" if graphics else "cpu",
                compute_type="float16" if graphics else "int8_float32",
                cpu_threads=threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError):
            raise ConfigError(f"speech model {model.name} {model.version} cannot be loaded: add it again") from None

    @property
    def model(self) -> SpeechModel:
        """The model that hears."""
        return self._model

    def speech(self, samples: Samples) -> Sequence[tuple[float, float]]:
        """Find where somebody speaks."""
        options = self._vad.VadOptions(
            max_speech_duration_s=WINDOW_S, min_silence_duration_ms=400, min_speech_duration_ms=100, speech_pad_ms=400
        )
        return [(s["start"] / _RATE, s["end"] / _RATE) for s in self._vad.get_speech_timestamps(samples, options)]

    def recognise(
        self, samples: Samples, *, language: str | None = None, hotwords: str = "", quick: bool = False
    ) -> Recognition:
        """Write down what is said; see :class:`Recogniser`."""
        heard = self._heard(samples, language, hotwords, beam_size=1 if quick else _BEAM)
        if quick or all(segment.compression_ratio <= LOOP_RATIO for segment in heard.segments):
            return heard
        again = self._heard(
            samples, heard.language, hotwords, beam_size=_BEAM, repetition_penalty=1.1, no_repeat_ngram_size=4
        )
        likely = bool(again.segments) and min(one.log_probability for one in again.segments) > _LIKELY
        return again if likely else heard

    def _heard(self, samples: Samples, language: str | None, hotwords: str, **search: float) -> Recognition:
        """Hear once; without sampling, so that the same recording gives the same words."""
        try:
            segments, info = self._whisper.transcribe(
                samples,
                language=language,
                temperature=0.0,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=False,
                max_new_tokens=_TOKENS + int(_TOKENS_PER_S * len(samples) / _RATE),
                hotwords=hotwords or None,
                **search,
            )
            found = tuple(_segment(segment) for segment in segments)
        except (RuntimeError, ValueError):
            raise PluginError(f"speech model {self._model.name} failed") from None
        return Recognition(found, info.language, float(info.language_probability))


def _segment(segment: Any) -> Segment:
    words = tuple(
        Word(word.word.strip(), float(word.start), float(word.end), float(word.probability))
        for word in segment.words or ()
        if word.word.strip()
    )
    return Segment(
        segment.text.strip(),
        float(segment.start),
        float(segment.end),
        words,
        float(segment.avg_logprob),
        float(segment.no_speech_prob),
        float(segment.compression_ratio),
    )
