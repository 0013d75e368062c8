"""The shadow: the text as a person reads it, with a way back to the input's offsets.

Recognisers look at the shadow, so that no spelling trick of Unicode, HTML or line breaking hides an identifier.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.deidentify.text.spans import Category

MASK: Final = "\ufffc"
"""Stands in the shadow for each code point of a placeholder that an earlier run left."""

_ODD: Final = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});"
    r"|(?P<wrap>(?<=[A-Za-z0-9])-[ \t]{0,3}\r?\n[ \t]{0,8}(?=[A-Za-z0-9]))"
    r"|[^\x00-\x7f][\u0300-\u036f]{0,8}"
    r"|[A-Za-z][\u0300-\u036f]{1,8}"
)
_PLAIN: Final = re.compile(r"-[ \t]{0,3}\r?\n|&|\[[A-Z]|_\B|\b_|__|(?<=[A-Za-z])0(?=[a-z]{2})")
PLACEHOLDER: Final = re.compile(rf"\[({'|'.join(Category)})-(\d{{1,5}})\]")
"""What the safe-harbor profile leaves in the place of an identifier."""

_BLANK: Final = re.compile(r"\w+")
_ZERO: Final = re.compile(r"(?<=[A-Za-z])0(?=[a-z]{2})")
"""A zero that a scanner read for an o: inside a word of small letters."""

_MIXED: Final = re.compile(r"[A-Za-z][\u0370-\u04ff]|[\u0370-\u04ff][A-Za-z]")
_WORD: Final = re.compile(r"\w+")
_DASHES: Final = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d")
_QUOTES: Final = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201b": "'",
    "\u02bc": "'",
    "\u00b4": "'",
    "\u201c": '"',
    "\u201d": '"',
}
_LATIN: Final = "ABESZKMHOPCTYXIJaeopcyxijsdhlABEZHIKMNOPTYXovpi"
_ALIKE: Final = "АВЕЅЗКМНОРСТУХІЈаеорсухіјѕԁһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρι"
_LOOKALIKES: Final = str.maketrans(_ALIKE, _LATIN)
"""Cyrillic and Greek letters that look like Latin ones; folded in words that also have Latin letters."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """The normalised text and its offset map.

    Parameters
    ----------
    text : str
    lower : str
        The same in lower case, code point by code point.
    starts, ends : tuple of int or None
        For each code point of the shadow, where in the input it begins and ends; None when the two texts agree.
    """

    text: str
    lower: str
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    def to_input(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the input that a non-empty range of the shadow stands for."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def make_shadow(text: str) -> Shadow:
    """Normalise: NFKC, no zero-width or soft hyphens, plain digits, dashes and quotes, entities, joined lines."""
    if text.isascii() and not _PLAIN.search(text):
        return Shadow(text, text.lower())
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, piece in _pieces(text):
        pieces.append(piece)
        if len(piece) == end - start:
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:
            starts.extend([start] * len(piece))
            ends.extend([end] * len(piece))
    whole = _ZERO.sub("o", "".join(pieces))
    if "_" in whole:
        whole = _BLANK.sub(lambda m: _without_blanks(m[0]), whole)
    shadow = PLACEHOLDER.sub(lambda m: MASK * len(m[0]), whole)
    if _MIXED.search(shadow):
        shadow = _WORD.sub(lambda m: m[0].translate(_LOOKALIKES) if _MIXED.search(m[0]) else m[0], shadow)
    return Shadow(shadow, _lower(shadow), tuple(starts), tuple(ends))


def _without_blanks(word: str) -> str:
    """Return a word of a form without the line that it was written on ("__Smith__"), in the same length."""
    return word.replace("_", " ") if word[0] == "_" or word[-1] == "_" or "__" in word else word


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for match in _ODD.finditer(text):
        if match.start() > at:
            yield at, match.start(), text[at : match.start()]
        at = match.end()
        if match["wrap"]:
            joins = text[match.start() - 1].isalpha() and text[at].islower()
            yield match.start(), at, "" if joins else "-"
        else:
            yield match.start(), at, _normal(match[0])
    if at < len(text):
        yield at, len(text), text[at:]


def _normal(odd: str) -> str:
    if odd[0] == "&":
        decoded = html.unescape(odd)
        return odd if decoded == odd else "".join(map(_plain, decoded))
    return "".join(map(_plain, unicodedata.normalize("NFKC", odd)))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if character in _DASHES:
        return "-"
    if character in _QUOTES:
        return _QUOTES[character]
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return {"Zs": " ", "Zl": "\n", "Zp": "\n", "Cf": ""}.get(kind, character)


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)
