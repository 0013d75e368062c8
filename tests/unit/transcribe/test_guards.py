"""What nobody said is left out and counted; what somebody said stays."""

import pytest

from osler.domain.transcript import Word
from osler.transcribe.guards import Dropped, Guard, Surroundings, warnings
from osler.transcribe.recognise import Segment

LOOP = Dropped.LOOP


def guard(level: float = -20.0, hotwords: frozenset[str] = frozenset()) -> Guard:
    return Guard(Surroundings(lambda _start, _end: level, -20.0, hotwords))


def segment(text: str, seconds: float = 4.0, **values: float) -> Segment:
    named = {
        "log": "log_probability",
        "no_speech": "no_speech_probability",
        "ratio": "compression_ratio",
    }
    return Segment(text, 0.0, seconds, **{named[name]: value for name, value in values.items()})


@pytest.mark.parametrize(
    ("heard", "level", "reason"),
    [
        (segment(""), -20, Dropped.NO_WORDS),
        (segment("..."), -20, Dropped.NO_WORDS),
        (segment("[Music]"), -20, Dropped.NO_WORDS),
        (segment("(coughing)"), -20, Dropped.NO_WORDS),
        (segment("♪ ♪"), -20, Dropped.NO_WORDS),
        (segment("I have a cough.", log=-0.9, no_speech=0.7), -20, Dropped.NO_SPEECH),
        (segment("Zwei grieg dum.", log=-1.7), -20, Dropped.NO_SPEECH),
        (segment("I take aspirin."), -60, Dropped.TOO_QUIET),
        (segment("Thanks for watching!"), -20, Dropped.SUBTITLE),
        (segment("Thank you so much for watching."), -20, Dropped.SUBTITLE),
        (segment("Please subscribe to my channel."), -20, Dropped.SUBTITLE),
        (segment("Subtitles by the Amara.org community"), -20, Dropped.SUBTITLE),
        (segment("Transcription by CastingWords"), -20, Dropped.SUBTITLE),
        (segment("www.mooji.org"), -20, Dropped.SUBTITLE),
        (segment("Thank you."), -55, Dropped.SUBTITLE),
        (segment("you", log=-0.95, no_speech=0.91), -20, Dropped.SUBTITLE),
        (segment("we are here, we are here, we are here, we are here, we are here", ratio=3.9), -20, Dropped.LOOP),
        (
            segment("I can't wait to see you in the next one, I can't wait to see you in the next one", log=-1),
            -20,
            LOOP,
        ),
        (segment("one two three four five six seven eight nine ten", seconds=0.4), -20, Dropped.TOO_FAST),
    ],
)
def test_left_out(heard: Segment, level: float, reason: Dropped) -> None:
    watch = guard(level)

    assert watch.keep([heard]) == []
    assert dict(watch.dropped) == {reason: 1}


@pytest.mark.parametrize(
    "heard",
    [
        segment("Thank you."),
        segment("Okay.", log=-0.3, no_speech=0.65),
        segment("No, no, no, no, it does not hurt."),
        segment("I have a cough.", log=-0.5, no_speech=0.7),
        segment("The captions on the television are hard to read."),
        segment("I watch it a lot, and my thanks for watching him go to you."),
        segment("Pain, pain, pain.", ratio=2.5),
    ],
)
def test_kept(heard: Segment) -> None:
    watch = guard()

    assert watch.keep([heard]) == [heard]
    assert not watch.dropped


def test_a_loop_inside_a_segment_is_cut_to_one_round_with_its_words() -> None:
    text = "it hurts " + "in the night " * 6 + "and by day."
    words = tuple(Word(w, i / 2, i / 2 + 0.4) for i, w in enumerate(text.split()))
    watch = guard()

    (kept,) = watch.keep([Segment(text, 0, 13, words)])

    assert kept.text == "it hurts in the night and by day."
    assert " ".join(word.text for word in kept.words) == kept.text
    assert watch.dropped == {Dropped.LOOP: 1}


def test_the_same_again_and_again_is_kept_twice() -> None:
    watch = guard()

    kept = watch.keep([segment("I will be right back.")] * 5)

    assert len(kept) == 2
    assert watch.dropped == {Dropped.REPEATED: 3}


def test_short_answers_may_come_often() -> None:
    assert len(guard().keep([segment("Okay.")] * 5)) == 5


def test_a_hint_that_nobody_said_is_left_out() -> None:
    hints = frozenset({"lisinopril", "metformin"})
    echo = Segment("lisinopril", 8.0, 8.2, (Word("lisinopril", 8.0, 8.2, 0.0),))
    said = Segment("Lisinopril.", 3.0, 4.0, (Word("Lisinopril.", 3.0, 4.0, 0.6),))

    watch = guard(hotwords=hints)

    assert watch.keep([echo, said]) == [said]
    assert watch.dropped == {Dropped.ECHO: 1}


def test_a_hint_read_back_after_the_last_sentence_is_taken_off() -> None:
    words = (Word("Thank", 0, 1, 0.9), Word("you.", 1, 2, 0.9), Word("lisinopril", 2, 2.1, 0.01))
    watch = guard(hotwords=frozenset({"lisinopril"}))

    (kept,) = watch.keep([Segment("Thank you. lisinopril", 0, 2.1, words)])

    assert (kept.text, kept.end_s) == ("Thank you.", 2)
    assert watch.dropped == {Dropped.ECHO: 1}


def test_a_hint_within_a_sentence_stays_however_badly_it_was_heard() -> None:
    words = (Word("increase", 0, 1, 0.9), Word("your", 1, 2, 0.9), Word("lisinopril", 2, 3, 0.03))

    (kept,) = guard(hotwords=frozenset({"lisinopril"})).keep([Segment("increase your lisinopril", 0, 3, words)])

    assert kept.text == "increase your lisinopril"


def test_warnings_count_and_quote_nothing() -> None:
    watch = guard()
    watch.keep([segment("Thanks for watching!"), segment("[Music]"), segment("Jane Roe said so.", log=-2)])

    assert warnings(watch.dropped) == [
        "1 part was left out: unlikely to be speech",
        "1 part was left out: words of subtitles that nobody said",
    ]
