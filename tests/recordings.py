"""Recordings made in the tests, and a recogniser that hears tones: each word of its vocabulary is one pitch."""

import io
import subprocess
import wave
from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from osler.domain.transcript import SpeechModel, Word
from osler.transcribe.recognise import Recognition, Segment

RATE = 16_000
Samples = npt.NDArray[np.float32]
_WORD_S, _GAP_S = 0.24, 0.04
_LOWEST_HZ, _STEP_HZ = 300, 60


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), dtype=np.float32)


def noise(seconds: float, level: float = 0.1, seed: int = 7) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def tone(hertz: float, seconds: float, level: float = 0.3) -> Samples:
    at = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def wav(*channels: Samples, rate: int = RATE) -> bytes:
    """Return 16-bit PCM in a WAV file; shorter channels end in silence."""
    longest = max(len(channel) for channel in channels)
    frames = np.stack([np.pad(channel, (0, longest - len(channel))) for channel in channels], axis=1)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((frames.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def encoded(samples: Samples, container: str, codec: str, rate: int = RATE) -> bytes:
    """Return a recording in a container, as PyAV writes it."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as out:
        track = out.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(track.codec_context.format.name, "mono", rate, track.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in track.encode(part):
                out.mux(packet)
        for packet in track.encode(None):
            out.mux(packet)
    return stream.getvalue()


def say(espeak: str, text: str, *, voice: str = "en-us", speed: int = 155, pitch: int = 50) -> Samples:
    """Return speech of espeak-ng at 16 kHz."""
    command = [espeak, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    content = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    with av.open(io.BytesIO(content)) as container:
        resampler = av.AudioResampler("fltp", "mono", RATE)
        parts = [p for f in container.decode(audio=0) for p in resampler.resample(f)] + resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)


class ToneRecogniser:
    """Hears the words that :meth:`spoken` makes; a stand-in for a speech model.

    ``languages`` gives the language of a word, else it is English; ``calls`` counts what was asked of it.
    """

    def __init__(self, text: str, languages: dict[str, str] | None = None, **segment: float) -> None:
        self.vocabulary = list(dict.fromkeys(text.split()))
        self.model = SpeechModel("tones", "1", "0" * 64)
        self.calls: list[dict[str, object]] = []
        self._languages = languages or {}
        self._segment = segment

    def spoken(self, text: str, level: float = 0.3) -> Samples:
        parts = []
        for word in text.split():
            parts += [tone(_LOWEST_HZ + _STEP_HZ * self.vocabulary.index(word), _WORD_S, level), silence(_GAP_S)]
        return np.concatenate(parts)

    def speech(self, samples: Samples) -> Sequence[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for burst in self._bursts(samples):
            start, end = max(0.0, burst[0] - 0.02), min(len(samples) / RATE, burst[1] + 0.02)
            if found and start - found[-1][1] < 0.3 and end - found[-1][0] < 28:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return found

    def recognise(
        self, samples: Samples, *, language: str | None = None, hotwords: str = "", quick: bool = False
    ) -> Recognition:
        assert len(samples) <= 30 * RATE
        self.calls.append({"seconds": len(samples) / RATE, "language": language, "hotwords": hotwords, "quick": quick})
        words = [Word(self._word(samples, *burst), *burst, 0.9) for burst in self._bursts(samples)]
        spoken = self._languages.get(words[0].text, "en") if words else "en"
        segments: list[list[Word]] = [[]]
        for word in words:
            segments[-1].append(word)
            if word.text.endswith((".", "?")):
                segments.append([])
        heard = tuple(
            Segment(" ".join(w.text for w in one), one[0].start_s, one[-1].end_s, tuple(one), **self._segment)
            for one in segments
            if one
        )
        return Recognition(heard, language or spoken, 1.0 if language else 0.95)

    def _word(self, samples: Samples, start: float, end: float) -> str:
        part = samples[int(start * RATE) : int(end * RATE)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), RATE))
        number = round((float(np.argmax(spectrum)) - _LOWEST_HZ) / _STEP_HZ)
        return self.vocabulary[min(max(0, number), len(self.vocabulary) - 1)]

    def _bursts(self, samples: Samples) -> list[tuple[float, float]]:
        frame = RATE // 100
        whole = len(samples) // frame * frame
        loud = np.abs(samples[:whole].reshape(-1, frame)).max(axis=1) > 0.01
        edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
        spans = [(float(a), float(b)) for a, b in zip(edges[::2] / 100, edges[1::2] / 100, strict=True)]
        return [span for span in spans if span[1] - span[0] >= 0.05]
