"""The word lists say what they should of well-known words."""

import pytest

from osler.deidentify.text.en.wordlists import Lexicon, load_lexicon


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("james", "g0"),
        ("smith", "s0"),
        ("nguyen", "s0"),
        ("garcía", "s2"),
        ("akiko", "g2"),
        ("the", "w0"),
        ("lasix", "d"),
        ("foley", "e"),
        ("parkinson", "e"),
        ("pneumonia", "m"),
        ("klebsiella", "o"),
        ("hctz", "a"),
    ],
)
def test_a_word_has_its_code(lexicon: Lexicon, word: str, code: str) -> None:
    assert code in lexicon[word]


def test_it_covers_many_names_and_only_lower_case(lexicon: Lexicon) -> None:
    surnames = sum(any(code[0] == "s" for code in codes) for codes in lexicon.values())
    assert surnames > 150_000
    assert all(word == word.lower() for word in lexicon)
