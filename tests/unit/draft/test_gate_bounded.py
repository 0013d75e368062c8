"""A megabyte of speech or note is read in bounded time, and answered; so is what looks like an attack."""

import time

import pytest

from encounters import draft_of, heard
from osler.domain.note import Draft, DraftAuthor, Evidence, Section, Statement, Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.gate import check, check_text

_MOST_S = 60.0
_SIZE = 1_000_000


def _one(text):
    return DeidentifiedTranscript((DeidentifiedUtterance(1, "S1", SpeakerRole.CLINICIAN, text),))


@pytest.mark.parametrize(
    ("pattern", "size"), [("i take lisinopril , sorry , for my left knee . ", _SIZE), ("1", _SIZE), ("any ", 100_000)]
)
def test_a_long_utterance(pattern, size):
    text = (pattern * (size // len(pattern) + 1))[:size]
    statements = tuple(
        Statement(f"s{number}", "Lisinopril 20 mg for left knee pain.", (Evidence(1, text[:200]),), Topic.PLAN)
        for number in range(20)
    )
    began = time.monotonic()
    checked = check(Draft("soap", (Section("a", "A", "1", statements),), DraftAuthor("x", "x", "1")), _one(text))
    assert time.monotonic() - began < _MOST_S
    assert len(checked.verdicts) == 20


@pytest.mark.parametrize(
    ("pattern", "size"),
    [("The patient has left knee pain and takes lisinopril. ", 300_000), ("no ", 50_000), ("7/", 50_000)],
)
def test_a_long_note(pattern, size):
    note = (pattern * (size // len(pattern) + 1))[:size]
    began = time.monotonic()
    checked = check_text(note, heard("P: my left knee hurts and I take lisinopril 20 milligrams"))
    assert time.monotonic() - began < _MOST_S
    assert len(checked.verdicts) > 30


def test_many_utterances():
    lines = ["D: do you have any chest pain ?", "P: no , but I take lisinopril 20 milligrams"] * 3_000
    began = time.monotonic()
    checked = check_text("The patient denies chest pain. He takes lisinopril 20 mg.", heard("\n".join(lines)))
    assert time.monotonic() - began < _MOST_S
    assert [verdict.reasons for verdict in checked.verdicts.values()] == [(), ()]


_MOST_CPU_S = 4.0
_SHARE = 100_000


@pytest.mark.parametrize(
    "pattern", ["7/", "any ", "no ", "fever no ", "left knee ", "sorry 20 mg lisinopril ", "january "]
)
def test_time_grows_with_length_only(pattern):
    """A tenth of a megabyte in seconds of processor time: ten times that is what a whole one takes."""
    text = (pattern * (_SHARE // len(pattern) + 1))[:_SHARE]
    began = time.thread_time()
    checked = check(draft_of(), _one(text))
    assert time.thread_time() - began < _MOST_CPU_S
    assert checked.verdicts == {}


@pytest.mark.parametrize(("said", "noted"), [("7/", "8/"), ("7 mg ", "8 mg "), ("left knee ", "right knee ")])
def test_a_statement_and_a_quote_as_long_as_they_may_be(said, noted):
    quote, text = (said * 8_000)[:7_900], (noted * 1_500)[:1_400]
    statement = Statement("s", text, (Evidence(1, quote),), Topic.HISTORY)
    draft = Draft("soap", (Section("a", "A", "1", (statement,)),), DraftAuthor("x", "x", "1"))
    began = time.thread_time()
    verdict = check(draft, _one(said * 20_000)).verdicts["s"]
    assert time.thread_time() - began < _MOST_CPU_S
    assert not verdict.passed


def test_a_statement_that_nobody_could_check_is_refused_unread():
    text = "7/" * 500_000
    statement = Statement("s", text, (Evidence(1, text),), Topic.HISTORY)
    draft = Draft("soap", (Section("a", "A", "1", (statement,)),), DraftAuthor("x", "x", "1"))
    began = time.thread_time()
    assert check(draft, _one("a short one")).verdicts["s"].reasons == ("too-long",)
    assert time.thread_time() - began < _MOST_CPU_S
