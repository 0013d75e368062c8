"""Windows around what may be a name: complete, apart, bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.deidentify.text.en.features import LONGEST, REACH, Featurizer, case_of
from osler.deidentify.text.engine import Document

_LEXICON = {"the": ("w0",), "was": ("w0",), "fine": ("w0",), "mary": ("g0", "s1"), "lee": ("s0",), "dr": ("t",)}


@given(st.lists(st.sampled_from(["the", "Mary", "was", "fine", ".", "lee", "Dr", "7", "\n"]), max_size=400))
def test_windows_are_in_order_apart_and_bounded(words: list[str]) -> None:
    tokens = Document(" ".join(words)).tokens
    last = 0
    covered: set[int] = set()
    for start, end in Featurizer(_LEXICON, {}).windows(tokens, "M"):
        assert last <= start < end <= len(tokens)
        assert end - start <= LONGEST + 2 * REACH + 2
        last = end
        covered.update(range(start, end))
    assert {i for i, token in enumerate(tokens) if token.text == "Mary"} <= covered


def test_ordinary_words_cost_nothing() -> None:
    assert list(Featurizer(_LEXICON, {}).windows(Document("the was fine . " * 50).tokens, "M")) == []


def test_a_word_after_a_title_is_looked_at_whatever_it_is() -> None:
    tokens = Document("the the the the dr. fine the the the the").tokens
    assert any(start <= 6 < end for start, end in Featurizer(_LEXICON, {}).windows(tokens, "M"))


def test_a_hidden_word_is_unknown_to_the_lists() -> None:
    document = Document("Mary")
    seen, hidden = (
        Featurizer(_LEXICON, {}, words).features("Mary", document.tokens, 0, 1, "M")[0]
        for words in (frozenset[str](), frozenset({"mary"}))
    )
    assert "c=g0s1" in seen
    assert "c=?" in hidden


def test_the_case_of_a_text() -> None:
    assert [case_of(text) for text in ("ALL CAPS", "no capitals here at all", "Some Mixed text")] == ["U", "L", "M"]


def test_a_word_with_a_clinical_meaning_is_none_after_a_title() -> None:
    lexicon = {"dr": ("t",), "crohn": ("e", "s3"), "thomas": ("e", "g0")}
    tokens = Document("crohn dr. crohn thomas").tokens
    clinical = [Featurizer(lexicon, {}).is_clinical(tokens, i) for i in range(len(tokens))]
    assert clinical == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "distance"),
    [
        ("Crohn disease", "1"),
        ("Crohn's disease", "3"),
        ("Crohn-Thomas disease", "3"),
        ("Crohn has disease", ""),
        ("Crohn, disease", ""),
    ],
)
def test_how_far_on_stands_what_an_eponym_names(text: str, distance: str) -> None:
    lexicon = {"crohn": ("e",), "thomas": ("g0",), "has": ("w0",), "disease": ("m", "h")}
    document = Document(text)
    (row,) = Featurizer(lexicon, {}).features(text, document.tokens, 0, 1, "M")
    assert f"hXxe{distance}" in row


def test_what_no_space_parts_is_told() -> None:
    text = "S/p Crohn"
    tokens = Document(text).tokens
    rows = Featurizer(_LEXICON, {}).features(text, tokens, 0, len(tokens), "M")
    assert [next((f for f in row if f[0] in "<>"), None) for row in rows] == [">X\n/", "<>/", "<x/", None]
