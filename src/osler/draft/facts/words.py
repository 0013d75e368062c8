"""Text into words that speech and notes share: lower case, contractions opened, punctuation kept apart."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from osler.draft.facts.tables import listed

_TOKEN: Final = re.compile(
    r"\[[A-Z_]+-\d+\]"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
    r"|[^\W\d_]+\d\w*"
    r"|n['’]t\b|[^\W\d_]+(?:['’][^\W\d_]+)*"
    r"|\n|[^\w\s]|_"
)
_IRREGULAR: Final = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_JOINED: Final = {
    "cannot": ("can", "not"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "nkda": ("no", "known", "drug", "allergies"),
    "nka": ("no", "known", "allergies"),
}
_LONGEST_NUMBER: Final = 15
SENTENCE_ENDS: Final = frozenset(".?!\n")


class Word(NamedTuple):
    """A word, a number or a mark; `start` and `end` are code points of the text."""

    text: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether it is more than a mark of punctuation."""
        return self.text[0].isalnum() or self.text[0] == "["


def read_words(text: str) -> tuple[Word, ...]:
    """Return the words, numbers and marks of a text in order; linear in its length."""
    words = [Word(part, *found.span()) for found in _TOKEN.finditer(text) for part in _open(found.group())]
    for at, word in enumerate(words[:-1]):
        if words[at + 1].text == "not" and word.text in _IRREGULAR:
            words[at] = word._replace(text=_IRREGULAR[word.text])
    return tuple(words)


def _open(token: str) -> tuple[str, ...]:
    if token[0] == "[" and len(token) > 1:
        return (token,)
    if token[0].isdigit():
        return (token.replace(",", "") if len(token) <= _LONGEST_NUMBER else "#" * 3,)
    word = token.lower().replace("’", "'")
    if word == "n't":
        return ("not",)
    if word.endswith("n't"):
        return (_IRREGULAR.get(word[:-3], word[:-3]), "not")
    if word in listed("unmarked_contractions"):
        return (_IRREGULAR.get(word[:-2], word[:-2]), "not")
    return _JOINED.get(word) or (word.partition("'")[0] or word,)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return what the inflected forms of an English word share; crude on purpose, and the same for all its uses."""
    for ending, shortest in (("ations", 4), ("ation", 4), ("ings", 3), ("ing", 3), ("ness", 4), ("ly", 4), ("ies", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= shortest:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    else:
        for ending, shortest in (("ed", 3), ("es", 3), ("s", 3)):
            if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= shortest:
                word = word[: -len(ending)]
                break
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word


def content(words: Sequence[Word]) -> list[tuple[int, str]]:
    """Return place and stem of the words that carry meaning, numbers and placeholders left out."""
    stop = listed("stop")
    return [
        (at, stem(word.text))
        for at, word in enumerate(words)
        if len(word.text) > 1
        and word.text[0].isalpha()
        and not stop.intersection((word.text, word.text.removesuffix("s")))
    ]
