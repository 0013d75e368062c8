"""Partial results: what is stable is said once, in order, and never taken back."""

import itertools

import numpy as np
import pytest

from osler.domain.transcript import Word
from osler.errors import Malformed
from osler.testing.clock import FakeClock
from osler.transcribe.hotwords import Hints
from osler.transcribe.recognise import Recognition, Segment
from osler.transcribe.streaming import Stream, from_pcm16
from recordings import RATE, ToneRecogniser, silence

LONG = " ".join(f"word{number}" for number in range(100))
TEXT = "What brings you in today? I have had a cough for three days. Does it hurt?"


class Hesitant(ToneRecogniser):
    """Guesses the last word of a hearing wrong, as recognisers do at the edge of what they hear."""

    def recognise(
        self, samples: np.ndarray, *, language: str | None = None, hotwords: str = "", quick: bool = False
    ) -> Recognition:
        heard = super().recognise(samples, language=language, hotwords=hotwords, quick=quick)
        if not heard.segments or len(samples) / RATE - heard.segments[-1].end_s > 0.5:
            return heard
        last = heard.segments[-1]
        words = (*last.words[:-1], Word("guess", last.words[-1].start_s, last.words[-1].end_s, 0.3))
        return Recognition(
            (*heard.segments[:-1], Segment(" ".join(w.text for w in words), last.start_s, last.end_s, words)), "en", 1
        )


def fed(stream: Stream, samples: np.ndarray, step_s: float = 0.25) -> tuple[list[Word], list[str]]:
    stable: list[Word] = []
    tentative: list[str] = []
    for at in range(0, len(samples), int(step_s * RATE)):
        partial = stream.feed(samples[at : at + int(step_s * RATE)])
        stable += partial.stable
        tentative.append(partial.tentative)
    return stable, tentative


@pytest.mark.parametrize("step_s", [0.1, 0.25, 3])
def test_all_words_become_stable_once_and_in_order(step_s: float) -> None:
    ear = Hesitant(TEXT)
    stream = Stream(ear)

    stable, _ = fed(stream, ear.spoken(TEXT), step_s)
    stable += stream.finish().stable

    assert " ".join(word.text for word in stable)[: len(TEXT) - 5] == TEXT[:-5]
    assert all(a.end_s <= b.start_s + 0.05 for a, b in itertools.pairwise(stable))


def test_a_guess_at_the_edge_is_only_tentative() -> None:
    ear = Hesitant(TEXT)

    stable, tentative = fed(Stream(ear), ear.spoken(TEXT))

    assert "guess" not in [word.text for word in stable]
    assert any("guess" in text for text in tentative)


def test_times_are_those_of_the_stream_across_pauses() -> None:
    ear = ToneRecogniser("one two.")
    samples = np.concatenate([silence(5), ear.spoken("one"), silence(4), ear.spoken("two."), silence(2)])

    stable, _ = fed(Stream(ear), samples)

    assert [word.text for word in stable] == ["one", "two."]
    assert [word.start_s for word in stable] == pytest.approx([5, 9.28], abs=0.03)


def test_the_buffer_is_bounded_however_long_somebody_speaks() -> None:
    ear = ToneRecogniser(LONG)
    stream = Stream(ear)

    stable, _ = fed(stream, ear.spoken(f"{LONG} {LONG}"))
    stable += stream.finish().stable

    assert " ".join(word.text for word in stable) == f"{LONG} {LONG}"
    assert max(call["seconds"] for call in ear.calls) <= 28


def test_a_slow_machine_hears_less_often_and_keeps_up() -> None:
    clock = FakeClock()

    class Slow(ToneRecogniser):
        def recognise(self, samples: np.ndarray, **options: object) -> Recognition:
            clock.advance(3)
            return super().recognise(samples, **options)

    ear = Slow(LONG)
    stream = Stream(ear, clock=clock)
    began = clock.now

    stable, _ = fed(stream, ear.spoken(LONG))
    stable += stream.finish().stable

    assert " ".join(word.text for word in stable) == LONG
    assert clock.now - began < stream.seconds


def test_in_silence_nothing_is_heard() -> None:
    ear = ToneRecogniser("one")
    stream = Stream(ear)

    stable, tentative = fed(stream, silence(30))

    assert (stable, set(tentative), ear.calls) == ([], {""}, [])
    assert stream.seconds == 30


def test_hallucinations_are_no_partial_result() -> None:
    ear = ToneRecogniser("Thanks for watching!")
    stream = Stream(ear)

    stable, tentative = fed(stream, ear.spoken("Thanks for watching!"))

    assert stable == []
    assert not stream.finish().stable
    assert "watching" not in " ".join(tentative[-1:])


def test_hearing_is_quick_and_with_hints() -> None:
    ear = ToneRecogniser("one")

    fed(Stream(ear, hints=Hints(medications=("Lisinopril",)), language="en"), ear.spoken("one one one one one"))

    assert {(call["quick"], call["hotwords"], call["language"]) for call in ear.calls} == {(True, "lisinopril", "en")}


def test_more_than_a_minute_at_once_is_refused() -> None:
    with pytest.raises(Malformed, match="at most a minute"):
        Stream(ToneRecogniser("one")).feed(silence(61))


def test_pcm() -> None:
    assert from_pcm16(b"\x00\x80\xff\x7f\x00\x00").tolist() == pytest.approx([-1, 32767 / 32768, 0])
    with pytest.raises(Malformed, match="even number of bytes"):
        from_pcm16(b"\x00\x80\xff")
