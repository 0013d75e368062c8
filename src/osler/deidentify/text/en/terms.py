"""Clinical terms whose words are also names or towns: "Todd's paralysis", "Philadelphia collar", "Orphan Annie"."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from osler.deidentify.text.engine import Token

_LINKS: Final = frozenset({"'", "s", "-"})
"""Tokens that a term may have between its words: "Clark's level", "Fitz-Hugh-Curtis"."""


def terms(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Return the terms as ranges of tokens, the end exclusive; a term that may follow from another is not sought."""
    known = _terms()
    for first, token in enumerate(tokens):
        if not token.text.islower():
            for rest in known.get(token.text.lower(), ()):
                end = _end(tokens, first + 1, rest)
                if end:
                    yield first, end
                    break


def _end(tokens: Sequence[Token], at: int, rest: Sequence[str]) -> int:
    """Return where the term ends whose words after the first are `rest`; 0 when they do not follow."""
    for word in rest:
        while at < len(tokens) and tokens[at].text in _LINKS:
            at += 1
        if at >= len(tokens) or tokens[at].text.lower() != word:
            return 0
        at += 1
    return at


@cache
def _terms() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Return for the first word of each term what follows it, the longest first."""
    by_first: dict[str, list[tuple[str, ...]]] = {}
    data = files("osler.deidentify.text.en.data")
    hyphenated = (word.replace("-", " ") for word in data.joinpath("eponyms.txt").read_text("utf-8").split())
    for line in (*data.joinpath("terms.txt").read_text("utf-8").splitlines(), *hyphenated):
        first, *rest = line.split()
        if rest:
            by_first.setdefault(first, []).append(tuple(rest))
    return {first: tuple(sorted(others, key=len, reverse=True)) for first, others in by_first.items()}
