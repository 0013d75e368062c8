"""Words among eponyms and drugs: in "Lachman, McMurray and Thessaly negative" a name that no list has is one more."""

from collections.abc import Sequence
from typing import Final

from osler.deidentify.text.en.wordlists import Lexicon
from osler.deidentify.text.engine import Token

CROWD: Final = 3
REACH: Final = 10
"""How many eponyms and drugs, how many tokens before and after a word, make it one of a list."""

_LISTED: Final = frozenset("ed")
_GIVEN: Final = frozenset({"g0", "g1"})


def is_crowded(lexicon: Lexicon, tokens: Sequence[Token], i: int) -> bool:
    """Tell whether a word stands among capitalised eponyms and drugs, and no common given name is at its side."""
    listed = 0
    for j in range(max(0, i - REACH), min(len(tokens), i + REACH + 1)):
        word = tokens[j].text
        if j == i or word.islower():
            continue
        codes = lexicon.get(word.lower(), ())
        if not _GIVEN.isdisjoint(codes):
            if abs(j - i) == 1:
                return False
        elif not _LISTED.isdisjoint(codes):
            listed += 1
    return listed >= CROWD
