"""From a recording to a transcript, with a recogniser that hears tones."""

import numpy as np
import pytest

from osler.domain.transcript import Correction, SpeakerRole, Transcript, Utterance, Word
from osler.errors import Malformed, PluginTimeout
from osler.testing.clock import FakeClock
from osler.transcribe.hotwords import Hints
from osler.transcribe.transcriber import Options, joined, transcribe
from recordings import RATE, ToneRecogniser, silence, wav

QUESTION = "What brings you in today?"
ANSWER = "I have had a cough and I take lisinapril."
CORRECTED = ANSWER.replace("lisinapril", "lisinopril")
EAR = ToneRecogniser(f"{QUESTION} {ANSWER} Hola tengo fiebre.", {"Hola": "es"})
CLINICIAN, PATIENT = SpeakerRole.CLINICIAN, SpeakerRole.PATIENT


def one_channel() -> bytes:
    return wav(np.concatenate([silence(1), EAR.spoken(QUESTION), silence(1), EAR.spoken(ANSWER), silence(1)]))


def test_one_channel_is_told_apart_by_what_is_said() -> None:
    transcript = transcribe(one_channel(), EAR, hints=Hints(medications=("Lisinopril 20 MG",)))

    first, second = transcript.utterances
    assert (first.number, first.speaker, first.role, first.text) == (1, "S1", CLINICIAN, QUESTION)
    assert (second.number, second.speaker, second.role) == (2, "S2", PATIENT)
    assert second.text == CORRECTED
    assert first.start_s == pytest.approx(1, abs=0.05)
    assert second.start_s == pytest.approx(3.4, abs=0.05)
    assert second.words[-1].text == "lisinopril."
    assert transcript.corrections == (Correction(2, "lisinapril", "lisinopril", "medications"),)
    assert transcript.model == EAR.model
    assert transcript.language == "en"
    assert transcript.duration_s == pytest.approx(len(EAR.spoken(QUESTION + " " + ANSWER)) / RATE + 3, abs=0.01)
    assert transcript.warnings == (
        "speakers were told apart by what they say, not by their voices: check who said what",
    )


def test_two_channels_are_two_speakers() -> None:
    question, answer = EAR.spoken(QUESTION), EAR.spoken(ANSWER)
    doctor = np.concatenate([question, silence(0.2 + len(answer) / RATE), question])
    patient = np.concatenate([silence(0.1 + len(question) / RATE), answer])

    transcript = transcribe(wav(patient, doctor), EAR)

    assert [(u.speaker, u.role, u.text) for u in transcript.utterances] == [
        ("S2", CLINICIAN, QUESTION),
        ("S1", PATIENT, CORRECTED),
        ("S2", CLINICIAN, QUESTION),
    ]
    assert transcript.warnings == ()


def test_progress_is_told_in_seconds_of_audio() -> None:
    told: list[tuple[float, float]] = []

    transcribe(one_channel(), EAR, progress=lambda done, total: told.append((done, total)))

    assert told[-1][0] == told[-1][1] == pytest.approx(7.5, abs=1)
    assert all(0 <= done <= total for done, total in told)


def test_where_nobody_speaks_there_is_no_utterance_and_a_warning() -> None:
    transcript = transcribe(wav(silence(20)), ToneRecogniser("nothing"))

    assert transcript.utterances == ()
    assert transcript.warnings[-1] == "nobody is heard in the recording: check that the microphone was on"


def test_what_the_guards_leave_out_is_counted() -> None:
    ear = ToneRecogniser("Thanks for watching!")

    transcript = transcribe(wav(ear.spoken("Thanks for watching!")), ear)

    assert transcript.utterances == ()
    assert "1 part was left out: words of subtitles that nobody said" in transcript.warnings


def test_two_languages_are_warned_of_and_each_is_heard_in_its_own() -> None:
    english = np.concatenate([EAR.spoken(ANSWER), silence(0.5)] * 9)
    spanish = np.concatenate([EAR.spoken("Hola tengo fiebre."), silence(0.5)] * 12)

    transcript = transcribe(wav(np.concatenate([english, spanish, silence(1)])), EAR)

    assert transcript.language == "en"
    assert any(w.startswith("more than one language is spoken (en, es)") for w in transcript.warnings)


def test_a_language_that_is_told_is_not_detected() -> None:
    ear = ToneRecogniser("Hola tengo fiebre.", {"Hola": "es"})

    transcript = transcribe(wav(ear.spoken("Hola tengo fiebre.")), ear, options=Options(language="es"))

    assert transcript.language == "es"
    assert [call["language"] for call in ear.calls] == ["es"]


def test_one_speaker_only_is_said() -> None:
    ear = ToneRecogniser("I have had a cough and my throat hurts.")

    transcript = transcribe(wav(ear.spoken("I have had a cough and my throat hurts.")), ear)

    assert [(u.role, u.text) for u in transcript.utterances] == [(PATIENT, "I have had a cough and my throat hurts.")]
    assert transcript.warnings == ("only one speaker was made out",)


def test_speech_that_was_hard_to_understand_is_said() -> None:
    ear = ToneRecogniser(ANSWER, log_probability=-1.1)

    transcript = transcribe(wav(ear.spoken(ANSWER)), ear)

    assert "much of the recording was hard to understand: check it against the audio" in transcript.warnings


def test_telephone_quality_is_said() -> None:
    ear = ToneRecogniser(ANSWER)

    transcript = transcribe(wav(ear.spoken(ANSWER)[::2], rate=8000), ear)

    assert transcript.utterances[0].text == CORRECTED
    assert "8000 samples a second" in transcript.warnings[0]


def test_a_deadline_ends_it() -> None:
    clock = FakeClock()

    def slow(done: float, total: float) -> None:
        clock.advance(100)

    with pytest.raises(PluginTimeout, match="took too long"):
        transcribe(one_channel(), EAR, options=Options(timeout_s=60), progress=slow, clock=clock)


def test_the_hints_reach_the_recogniser() -> None:
    ear = ToneRecogniser(ANSWER)

    transcribe(wav(ear.spoken(ANSWER)), ear, hints=Hints(medications=("Lisinopril 20 MG",)))

    assert ear.calls[0]["hotwords"] == "lisinopril"
    assert ear.calls[0]["quick"] is False


def test_garbage_is_refused() -> None:
    with pytest.raises(Malformed):
        transcribe(b"OggS" + bytes(100), EAR)


def test_takes_are_joined_one_after_another() -> None:
    first = Transcript(
        (
            Utterance(1, "S2", CLINICIAN, "Hello.", 0, 1, (Word("Hello.", 0, 1),)),
            Utterance(2, "S1", PATIENT, "Hi.", 1, 2),
        ),
        "en",
        EAR.model,
        warnings=("only one speaker was made out",),
        duration_s=10,
    )
    second = Transcript(
        (
            Utterance(1, "S1", CLINICIAN, "metphormin", 0.5, 1, (Word("metphormin", 0.5, 1),)),
            Utterance(2, "S3", SpeakerRole.OTHER, "She does."),
        ),
        "en",
        EAR.model,
        (Correction(1, "metphormin", "metformin", "lexicon"),),
        ("only one speaker was made out",),
        5,
    )

    both = joined([first, second])

    assert [(u.number, u.speaker, u.start_s) for u in both.utterances] == [
        (1, "S1", 0),
        (2, "S2", 1),
        (3, "S1", 10.5),
        (4, "S3", None),
    ]
    assert both.utterances[2].words == (Word("metphormin", 10.5, 11),)
    assert both.corrections == (Correction(3, "metphormin", "metformin", "lexicon"),)
    assert both.duration_s == 15
    assert both.warnings == ("only one speaker was made out",)
    assert joined([first]) is first
