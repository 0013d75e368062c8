"""Speech of espeak-ng through a real Whisper model (tiny.en)."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osler.clinical.lexicon import drug_names
from osler.domain.transcript import SpeakerRole, Transcript
from osler.transcribe.hotwords import Hints
from osler.transcribe.recognise import FasterWhisper
from osler.transcribe.streaming import Stream
from osler.transcribe.transcriber import transcribe
from recordings import RATE, encoded, noise, silence, tone, wav

Say = Callable[..., np.ndarray]
TURNS = [
    ("doctor", "Good morning. What brings you in today?"),
    ("patient", "I have had a cough and some chest pain for three days."),
    ("doctor", "How long have you had the pain?"),
    ("patient", "It started on Monday."),
    ("doctor", "We will increase your lisinopril to forty milligrams."),
]
VOICES = {"doctor": {"voice": "en-us", "pitch": 40}, "patient": {"voice": "en-gb", "pitch": 75, "speed": 165}}
GAP = silence(0.6)


@pytest.fixture(scope="module")
def parts(spoken: Say) -> list[tuple[str, np.ndarray]]:
    return [(who, spoken(text, **VOICES[who])) for who, text in TURNS]


@pytest.fixture(scope="module")
def mixed(parts: list[tuple[str, np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.concatenate([samples, GAP]) for _, samples in parts])


def words(transcript: Transcript) -> list[str]:
    return re.findall(r"[a-z0-9']+", " ".join(one.text for one in transcript.utterances).lower())


def errors(expected: str, heard: list[str]) -> float:
    """Return the word error rate."""
    wanted = re.findall(r"[a-z0-9']+", expected.lower().replace("forty", "40"))
    row = list(range(len(heard) + 1))
    for i, a in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(before + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1] / len(wanted)


ALL = " ".join(text for _, text in TURNS)


def test_one_microphone(ear: FasterWhisper, mixed: np.ndarray) -> None:
    transcript = transcribe(encoded(mixed, "webm", "libopus"), ear)

    assert errors(ALL, words(transcript)) < 0.25
    assert [one.role for one in transcript.utterances][:2] == [SpeakerRole.CLINICIAN, SpeakerRole.PATIENT]
    assert transcript.language == "en"
    assert transcript.model == ear.model
    starts = [one.start_s for one in transcript.utterances]
    assert starts == sorted(starts)
    assert all(w.end_s <= (transcript.duration_s or 0) for one in transcript.utterances for w in one.words)


def test_two_microphones_that_hear_each_other(ear: FasterWhisper, parts: list[tuple[str, np.ndarray]]) -> None:
    channels = [
        np.concatenate([np.concatenate([samples * (1 if who == one else 0.12), GAP]) for who, samples in parts])
        for one in ("patient", "doctor")
    ]

    transcript = transcribe(wav(*channels), ear, hints=Hints(("Lisinopril 20 MG",)))

    assert [one.role.value for one in transcript.utterances] == ["clinician", "patient"] * 2 + ["clinician"]
    assert {one.speaker: one.role.value for one in transcript.utterances} == {"S1": "patient", "S2": "clinician"}
    assert errors(ALL, words(transcript)) < 0.2


@pytest.mark.parametrize(("snr_db", "worst"), [(20, 0.6), (10, 0.7)])
def test_noise(ear: FasterWhisper, mixed: np.ndarray, snr_db: float, worst: float) -> None:
    level = float(np.sqrt(np.square(mixed).mean())) / 10 ** (snr_db / 20)

    transcript = transcribe(wav(mixed + noise(len(mixed) / RATE, level)[: len(mixed)]), ear)

    assert errors(ALL, words(transcript)) < worst


def test_the_telephone(ear: FasterWhisper, mixed: np.ndarray) -> None:
    spectrum = np.fft.rfft(mixed)
    spectrum[len(spectrum) // 2 :] = 0
    narrow = np.fft.irfft(spectrum, len(mixed)).astype(np.float32)

    transcript = transcribe(wav(narrow[::2], rate=8000), ear)

    assert errors(ALL, words(transcript)) < 0.65
    assert "telephone quality" in transcript.warnings[0]


@pytest.mark.parametrize("voice", ["en-gb-scotland", "en-029"])
def test_accents(ear: FasterWhisper, spoken: Say, voice: str) -> None:
    text = "I have had a cough and some chest pain for three days."

    assert errors(text, words(transcribe(wav(spoken(text, voice=voice)), ear))) < 0.5


@pytest.mark.parametrize(("microphones", "crosstalk", "worst"), [(2, 0.0, 0.5), (2, 0.12, 0.4), (1, 0.0, 0.6)])
def test_two_who_speak_at_once(
    ear: FasterWhisper, parts: list[tuple[str, np.ndarray]], microphones: int, crosstalk: float, worst: float
) -> None:
    first, second = parts[1][1], parts[4][1]
    begins = len(first) - RATE  # the second begins a second before the first ends
    one = np.concatenate([first, np.zeros(begins + len(second) - len(first), np.float32)])
    other = np.concatenate([np.zeros(begins, np.float32), second])
    channels = [one + crosstalk * other, other + crosstalk * one] if microphones == 2 else [one + other]

    transcript = transcribe(wav(*channels), ear, hints=Hints(("Lisinopril 20 MG",)))

    found = errors(f"{TURNS[1][1]} {TURNS[4][1]}", words(transcript))
    assert found < worst
    if microphones == 2:
        assert {u.role for u in transcript.utterances} == {SpeakerRole.CLINICIAN, SpeakerRole.PATIENT}


def test_a_truncated_file_is_heard_as_far_as_it_goes(ear: FasterWhisper, mixed: np.ndarray) -> None:
    content = encoded(mixed, "ogg", "libopus")

    transcript = transcribe(content[: len(content) // 2], ear)

    assert transcript.utterances[0].text.lower().startswith("good morning")
    assert "the recording is incomplete: its end is missing" in transcript.warnings


def chords(seconds: float) -> np.ndarray:
    bars = [sum(tone(f, 0.5, 0.1) for f in notes) for notes in ((220, 277, 330), (247, 311, 370), (196, 247, 294))]
    return np.tile(np.concatenate(bars), int(seconds / 1.5)).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(silence(15), id="digital silence"),
        pytest.param(noise(15, 0.0005), id="a microphone's hiss"),
        pytest.param(noise(15, 0.1), id="loud noise"),
        pytest.param(tone(50, 15, 0.05), id="mains hum"),
        pytest.param(chords(15), id="music"),
    ],
)
def test_nothing_is_made_up_where_nobody_speaks(ear: FasterWhisper, samples: np.ndarray) -> None:
    transcript = transcribe(wav(samples), ear, hints=Hints(("Lisinopril 20 MG", "Metformin")))

    assert transcript.utterances == ()
    assert "nobody is heard in the recording: check that the microphone was on" in transcript.warnings


def test_a_language_that_the_model_does_not_know_is_not_made_into_english(ear: FasterWhisper, spoken: Say) -> None:
    spanish = spoken("Buenos días, me duele la cabeza desde hace tres días y tengo fiebre por la noche.", voice="es")

    transcript = transcribe(wav(spanish), ear)

    assert any("left out" in one or "hard to understand" in one for one in transcript.warnings)


def test_hints_of_the_chart_are_heard(ear: FasterWhisper, spoken: Say) -> None:
    chart = Hints(("Atorvastatin 40 MG", "Metformin 500 MG"), ("Sarcoidosis",), frozenset(drug_names()))

    transcript = transcribe(wav(spoken("I take atorvastatin and metformin every morning.")), ear, hints=chart)

    assert {"atorvastatin", "metformin"} <= set(words(transcript))


def test_the_same_recording_gives_the_same_words(ear: FasterWhisper, mixed: np.ndarray) -> None:
    noisy = wav(mixed + noise(len(mixed) / RATE, 0.1)[: len(mixed)])

    assert transcribe(noisy, ear) == transcribe(noisy, ear)


def test_a_stream_says_the_same_while_somebody_speaks(ear: FasterWhisper, mixed: np.ndarray) -> None:
    stream = Stream(ear)
    heard = [w.text for at in range(0, len(mixed), RATE // 2) for w in stream.feed(mixed[at : at + RATE // 2]).stable]
    before_the_end = len(heard)
    heard += [word.text for word in stream.finish().stable]

    assert before_the_end > 20
    assert errors(ALL, re.findall(r"[a-z0-9']+", " ".join(heard).lower())) < 0.35


OFFLINE = """
import pathlib, sys

def refuse(event, arguments):
    if event.startswith("socket."):
        print(event, flush=True)
        raise SystemExit(3)

sys.addaudithook(refuse)
sys.path.insert(0, sys.argv[1])
from recordings import noise, wav
from osler.transcribe.models import SpeechModels
from osler.transcribe.transcriber import transcribe

models = SpeechModels(pathlib.Path(sys.argv[3]))
models.add(pathlib.Path(sys.argv[2]), "tiny.en", "1")
ear = models.open("tiny.en", threads=1)
ear.recognise(noise(2, 0.1))
print(len(transcribe(wav(noise(2, 0.1)), ear).utterances))
"""


def test_no_socket_is_opened(model_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OFFLINE, str(Path(__file__).parents[2]), str(model_folder), str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr[-500:]
