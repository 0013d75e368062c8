"""Where a pattern can begin: worked out from the pattern itself, so that a text is tried only in those places.

A table of two hundred patterns, each tried at every character, costs two hundred times a character. Most of them can
begin with few combinations of three characters. One pass over the text sorts its places by what stands there, and
each pattern is tried where it may match: the same matches, for a third of the time.

Characters are compared without case; a digit stands for all digits, a space for all white space.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

SIZE: Final = 3
_MOST: Final = 2500
"""Beginnings of a pattern, from which it is tried everywhere instead."""

_OTHER: Final = "\x7f"
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7e]")
_FOLDED: Final = {c: "0" if chr(c).isdigit() else " " if chr(c).isspace() else chr(c).lower() for c in range(127)}
_ASCII: Final = tuple(map(chr, range(127)))
_PARSER: Final = import_module("re._parser")  # what `re` itself reads a pattern with
_ANY: Final = (("CATEGORY", "ANY"),)
_CATEGORIES: Final = {
    "ANY": ".",
    "DIGIT": r"\d",
    "SPACE": r"\s",
    "WORD": r"\w",
    "NOT_DIGIT": r"\D",
    "NOT_SPACE": r"\S",
    "NOT_WORD": r"\W",
}


class _Unbounded(Exception):
    """A pattern begins with too much, or with what is not known before it is tried."""


def threes(lower: str) -> Iterator[str]:
    """Return for each place of a lower-case text the three characters from there on, one for each kind."""
    folded = (lower if lower.isascii() else _NOT_ASCII.sub(_OTHER, lower)).translate(_FOLDED)
    padded = folded + _OTHER * SIZE
    return map("".join, zip(folded, padded[1:], padded[2:], strict=False))


def beginnings(pattern: str) -> frozenset[str] | None:
    """Return what the matches of a pattern begin with, as :func:`threes` writes it; None for too much to tell."""
    try:
        found = _after({""}, _PARSER.parse(pattern))
    except _Unbounded:
        return None
    return frozenset(found) if all(len(each) == SIZE for each in found) else None


def matches(pattern: re.Pattern[str], text: str, starts: Sequence[int]) -> list[re.Match[str]]:
    """Return what ``pattern.finditer(text)`` finds, when it can match at `starts` only."""
    found: list[re.Match[str]] = []
    end = 0
    for start in starts:
        if start >= end:
            match = pattern.match(text, start)
            if match is not None:
                end = match.end()
                found.append(match)
    return found


def _after(prefixes: set[str], items: Any) -> set[str]:
    """Return the prefixes with what the items of a parsed pattern add, up to SIZE characters."""
    for kind, value in items:
        done = {prefix for prefix in prefixes if len(prefix) == SIZE}
        if len(done) == len(prefixes):
            break
        prefixes = done | _with(prefixes - done, str(kind), value)
        if len(prefixes) > _MOST:
            raise _Unbounded
    return prefixes


def _with(prefixes: set[str], kind: str, value: Any) -> set[str]:
    """Return the prefixes with what one item of a parsed pattern adds."""
    if kind in {"AT", "ASSERT", "ASSERT_NOT"}:
        return prefixes
    if kind == "BRANCH":
        return set().union(*(_after(prefixes, branch) for branch in value[1]))
    if kind in {"SUBPATTERN", "ATOMIC_GROUP"}:
        return _after(prefixes, value[-1] if kind == "SUBPATTERN" else value)
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return _repeated(prefixes, *value)
    characters = _characters(kind, tuple(value) if kind == "IN" else value)
    if len(prefixes) * len(characters) > _MOST:
        raise _Unbounded
    return {prefix + character for prefix in prefixes for character in characters}


def _repeated(prefixes: set[str], least: int, most: int, items: Any) -> set[str]:
    found: set[str] = set()
    for count in range(min(most, least + SIZE)):
        if count >= least:
            found |= prefixes
        prefixes = _after(prefixes, items)
    return found | prefixes


@cache
def _characters(kind: str, value: Any) -> frozenset[str]:
    """Return the characters, folded, that one place of a pattern matches."""
    if kind == "LITERAL":
        return frozenset(_OTHER if value >= len(_ASCII) else _FOLDED[value])
    if kind not in {"IN", "ANY", "NOT_LITERAL"}:
        raise _Unbounded
    tests = {"ANY": _ANY, "NOT_LITERAL": (("NEGATE", None), ("LITERAL", value))}.get(kind, value)
    negated = str(tests[0][0]) == "NEGATE"
    inside = [_inside(str(test), of) for test, of in tests[negated:]]
    found = {_FOLDED[ord(c)] for c in _ASCII if any(c in each for each in inside) != negated}
    if negated or any(_OTHER in each for each in inside):
        found.add(_OTHER)
    return frozenset(found)


@cache
def _inside(test: str, of: Any) -> frozenset[str]:
    """Return the ASCII characters that one test of a class holds, and one more if it has others."""
    if test == "LITERAL":
        return frozenset(chr(of) if of < len(_ASCII) else _OTHER)
    if test == "RANGE":
        return frozenset(_ASCII[of[0] : of[1] + 1]) | (frozenset(_OTHER) if of[1] >= len(_ASCII) else frozenset())
    category = str(of).removeprefix("CATEGORY_")
    if test == "CATEGORY" and category in _CATEGORIES:
        pattern = re.compile(_CATEGORIES[category])
        # The shadow writes every digit in ASCII.
        return frozenset(filter(pattern.match, _ASCII)) | frozenset(_OTHER if category != "DIGIT" else ())
    raise _Unbounded
