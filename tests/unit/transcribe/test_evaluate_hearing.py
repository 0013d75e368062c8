"""Words heard wrong, clean and in noise, with a recogniser that hears tones."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from osler.errors import InputRejected, Malformed
from osler.transcribe.evaluate import LABELS, errors, evaluate, fingerprint, in_noise, read_spoken, words
from osler.transcribe.transcriber import transcribe
from recordings import ToneRecogniser, silence, tone, wav

SAID = "Mr. Smith takes five pills."
EAR = ToneRecogniser(SAID)


def folder_of(folder: Path, text: str = SAID) -> Path:
    sound = np.concatenate([silence(0.5), EAR.spoken(SAID), silence(0.5)])
    (folder / "one.wav").write_bytes(wav(sound))
    (folder / LABELS).write_text(f"file,text,speaker\none.wav,{text},ann\nleft-out.wav,,\n")
    return folder


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("one two three", "one two three", 0),
        ("one two three", "one three", 1),
        ("one two", "one more two", 1),
        ("one two", "one too", 1),
        ("", "two words", 2),
        ("two words", "", 2),
        ("Mr. Smith, take 5", "mister smith take five", 0),
        ("follow-up", "follow up", 0),
    ],
)
def test_words_are_wrong_left_out_or_too_many(said: str, heard: str, wrong: int) -> None:
    assert errors(words(said), words(heard)) == wrong


def test_noise_is_of_the_stated_ratio_and_the_same_each_time() -> None:
    speech = tone(440, 1.0, 0.1)
    noisy = in_noise(speech, 10.0, 3)
    ratio = 10 * math.log10(float(np.square(speech).mean() / np.square(noisy - speech).mean()))
    assert ratio == pytest.approx(10, abs=0.2)
    assert (in_noise(speech, 10.0, 3) == noisy).all()
    assert in_noise(speech, None, 3) is speech


def test_a_report_by_noise_has_no_word_of_what_was_said(tmp_path: Path) -> None:
    spoken = read_spoken(folder_of(tmp_path))
    report = evaluate(spoken, partial(transcribe, recogniser=EAR)).as_json()
    assert (report["recordings"], report["words"], report["model"]) == (1, 5, "tones 1")
    assert list(report["word_error_rate"]) == ["clean", "20 dB", "10 dB", "5 dB"]
    assert report["word_error_rate"]["clean"] == 0.0
    assert report["word_error_rate"]["5 dB"] > 0.5  # whoever hears tones alone hears none in noise
    assert report["seconds_per_minute"] > 0
    assert "Smith" not in str(report)


def test_a_recording_that_is_refused_has_all_its_words_wrong(tmp_path: Path) -> None:
    def refuse(_recording: object) -> None:
        raise InputRejected("there is no speech in the recording")

    report = evaluate(read_spoken(folder_of(tmp_path)), refuse)  # type: ignore[arg-type]
    assert set(report.error_rate.values()) == {1.0}
    assert report.model is None


def test_the_hash_is_of_what_is_said_and_of_the_sound(tmp_path: Path) -> None:
    first = fingerprint(read_spoken(folder_of(tmp_path)))
    assert first == fingerprint(read_spoken(folder_of(tmp_path)))
    assert first != fingerprint(read_spoken(folder_of(tmp_path, "Other words.")))


@pytest.mark.parametrize("labels", [None, "file,text\n", "file,text\ngone.wav,hi\n", "file,text\n../one.wav,hi\n"])
def test_labels_that_name_no_recording_of_the_folder_are_refused(tmp_path: Path, labels: str | None) -> None:
    (tmp_path / "one.wav").write_bytes(b"")
    inner = tmp_path / "inner"
    inner.mkdir()
    if labels is not None:
        (inner / LABELS).write_text(labels)
    with pytest.raises(Malformed):
        read_spoken(inner)
