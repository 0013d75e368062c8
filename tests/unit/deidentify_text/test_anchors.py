"""Where a pattern can begin, and that trying it there alone finds the same."""

import re

import pytest

from osler.deidentify.text import en
from osler.deidentify.text.anchors import beginnings, matches, threes
from osler.deidentify.text.corpus import held_out_notes
from osler.deidentify.text.corpus.hand_made import hand_made_texts
from osler.deidentify.text.rule import RuleRecogniser
from osler.deidentify.text.shadow import make_shadow


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\b(?:dr|mrs?)\b\.? [a-z]", {"dr.", "dr ", "mr.", "mr ", "mrs"}),
        (r"(?<!\d)\d{3}-\d{4}", {"000"}),
        (r"\d{1,2}/\d", {"00/", "0/0"}),
        (r"(?m)^(?i:PID)\|", {"pid"}),
        (r"[\s,]at[^a-z\d]?\d", {" at", ",at", "\x7fat"}),
        ("№ ?[0-5]x", {"\x7f 0", "\x7f0x"}),
    ],
)
def test_a_pattern_begins_with_few_characters(pattern: str, expected: set[str]) -> None:
    assert beginnings(pattern) == expected


@pytest.mark.parametrize("pattern", [r"\w+@\w+", r"(a)?\1bc", r"ab", r"x?", r"(?:a|\w\w)\w\w"])
def test_too_much_to_tell_is_said(pattern: str) -> None:
    assert beginnings(pattern) is None


def test_every_place_of_a_text_has_its_three_characters() -> None:
    assert list(threes("a9\té-")) == ["a0 ", "0 \x7f", " \x7f-", "\x7f-\x7f", "-\x7f\x7f"]
    assert list(threes("")) == []


def test_each_rule_finds_the_same_where_it_can_begin_as_everywhere() -> None:
    notes = [note.text for note in held_out_notes(20, seed=11)]
    texts = [make_shadow(text) for text in ["Été à 9\x7f", *notes, *(t.text for t in hand_made_texts("dev"))][:80]]
    recogniser = next(r for r in en.recognisers() if isinstance(r, RuleRecogniser))
    anchored = [(rule, known) for rule in recogniser.rules if (known := beginnings(rule.pattern))]
    assert len(anchored) > 0.8 * len(recogniser.rules)
    for shadow in texts:
        places = list(enumerate(threes(shadow.lower)))
        for rule, known in anchored:
            text, pattern = shadow.text if rule.cased else shadow.lower, re.compile(rule.pattern)
            there = matches(pattern, text, [at for at, three in places if three in known])
            assert [m.span() for m in there] == [m.span() for m in pattern.finditer(text)], rule.name
