"""How well speech is heard: words wrong in a hundred, clean and in noise, and the time that it takes.

::

    labels.csv        file,text,...      one line a recording: what is said in it
    ...               the files that it names

White noise is added to the speech of each recording at the stated ratio.
"""

import csv
import hashlib
import io
import re
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from osler.domain.transcript import SpeechModel, Transcript
from osler.errors import InputRejected, Malformed
from osler.transcribe.audio import RATE, open_recording

LABELS: Final = "labels.csv"
NOISES_DB: Final = (None, 20.0, 10.0, 5.0)
"""Speech over noise, dB; None for the recording as it is."""

_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPOKEN: Final = {"mr": "mister", **{str(number): name for number, name in enumerate(_NUMBERS)}}
Samples = npt.NDArray[np.float32]
Hear = Callable[[BinaryIO], Transcript]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording and what is said in it.

    Parameters
    ----------
    path : Path
    text : str
    group : str
        Whose voice, where ``labels.csv`` has a column ``speaker``.
    """

    path: Path
    text: str
    group: str = ""

    def samples(self) -> Samples:
        """Decode it: float32, 16 kHz, mono."""
        recording = open_recording(self.path)
        return np.concatenate(list(recording.blocks(recording.tracks[0])))


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """What was measured.

    Parameters
    ----------
    recordings, words : int
    minutes : float
    model : SpeechModel or None
    error_rate : dict of str to float
        By noise (``clean``, ``20 dB`` ...): words that are wrong, left out or too many, over the words said.
    seconds_per_minute : float
        Of the clean recordings.
    """

    recordings: int
    words: int
    minutes: float
    model: SpeechModel | None
    error_rate: dict[str, float]
    seconds_per_minute: float

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return {
            "recordings": self.recordings,
            "words": self.words,
            "minutes": round(self.minutes, 2),
            "model": f"{self.model.name} {self.model.version}" if self.model else "",
            "word_error_rate": self.error_rate,
            "seconds_per_minute": round(self.seconds_per_minute, 2),
        }


def read_spoken(folder: Path) -> tuple[Spoken, ...]:
    """Read which recordings a folder has, and what is said in them.

    Raises
    ------
    Malformed
        If ``labels.csv`` is missing or names no recording of the folder.
    """
    try:
        with (folder / LABELS).open(encoding="utf-8", newline="") as stream:
            rows = [{key: value or "" for key, value in row.items() if key} for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise Malformed(f"the folder has no {LABELS} that can be read") from None
    labelled = [row for row in rows if words(row.get("text", ""))]
    found = tuple(Spoken(folder / row.get("file", ""), row["text"], row.get("speaker", "")) for row in labelled)
    if not found or not all(one.path.parent == folder and one.path.is_file() for one in found):
        raise Malformed(f"{LABELS}: file, text: names no recording, or one that is not in the folder")
    return found


def fingerprint(spoken: Sequence[Spoken]) -> str:
    """Return the SHA-256 over what is said in the recordings and the recordings, in their order, hexadecimal."""
    whole = hashlib.sha256()
    for one in spoken:
        whole.update(hashlib.sha256(one.text.encode()).digest() + hashlib.sha256(one.path.read_bytes()).digest())
    return whole.hexdigest()


def evaluate(spoken: Sequence[Spoken], hear: Hear) -> SpeechReport:
    """Hear each recording clean and in noise, and count the words that are wrong.

    Parameters
    ----------
    spoken : sequence of Spoken
    hear : callable
        Transcribes a WAV file. A recording that it refuses has all its words wrong.
    """
    length = total = 0
    wrong = dict.fromkeys(NOISES_DB, 0)
    model: SpeechModel | None = None
    seconds = 0.0
    for seed, one in enumerate(spoken):
        sound, said = one.samples(), words(one.text)
        length, total = length + len(sound), total + len(said)
        for ratio in NOISES_DB:
            recording, began = wav(in_noise(sound, ratio, seed)), time.perf_counter()
            heard = _heard(hear, recording)
            seconds += time.perf_counter() - began if ratio is None else 0.0
            model = model or (heard.model if heard else None)
            wrong[ratio] += errors(said, _words_of(heard))
    minutes = length / RATE / 60
    rates = {name_of(ratio): round(count / max(total, 1), 4) for ratio, count in wrong.items()}
    return SpeechReport(len(spoken), total, minutes, model, rates, seconds / minutes if minutes else 0.0)


def name_of(ratio_db: float | None) -> str:
    """Return what a noise is called in a report."""
    return "clean" if ratio_db is None else f"{ratio_db:.0f} dB"


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: small, without marks, small numbers as words."""
    return [_SPOKEN.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))]


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words must be changed, left out or put in to make one of the other (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, right in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            before, row[j] = row[j], min(before + (right != word), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def in_noise(samples: Samples, ratio_db: float | None, seed: int) -> Samples:
    """Return speech with white noise, the same each time; as it is for None."""
    if ratio_db is None:
        return samples
    level = np.sqrt(np.square(samples).mean() / 10 ** (ratio_db / 10))
    added = np.random.default_rng(seed).standard_normal(len(samples)) * level
    return np.asarray((samples + added).clip(-1, 1), dtype=np.float32)


def wav(samples: Samples) -> bytes:
    """Return samples as a WAV file: PCM, 16 bits, mono."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def _heard(hear: Hear, recording: bytes) -> Transcript | None:
    try:
        return hear(io.BytesIO(recording))
    except InputRejected:
        return None


def _words_of(heard: Transcript | None) -> list[str]:
    return words(" ".join(one.text for one in heard.utterances)) if heard else []
