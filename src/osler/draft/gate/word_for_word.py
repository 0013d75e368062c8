"""What is nearly word for word what was said must not differ in the one word that turns it."""

from collections.abc import Iterable, Iterator
from typing import Final

from osler.draft.facts.context import Flag
from osler.draft.facts.extract import PAIR, Facts, extract

_DENIED: Final = int(Flag.NEGATED | Flag.STOPPED)
_DOUBTED: Final = int(Flag.POSSIBLE | Flag.HYPOTHETICAL)
_SAME: Final = 0.9
_COVERED: Final = 0.8
_LONGEST: Final = 2000


def differences(claimed: Facts, quotes: Iterable[str]) -> Iterator[str]:
    """Yield the rules that a statement breaks, where it and its quotes share nearly all their words.

    Parameters
    ----------
    claimed : Facts
        Of the statement.
    quotes : iterable of str
        What it cites, read by itself: what stands around it may turn other words.
    """
    texts = list(dict.fromkeys(quotes))
    if sum(len(text) for text in texts) > _LONGEST:
        return
    quoted = [extract(text, spoken=True) for text in texts]
    mine, theirs = _stems([claimed]), _stems(quoted)
    shared = len(mine & theirs)
    if not shared or shared < _SAME * len(mine) or shared < _COVERED * len(theirs):
        return
    if _sides([claimed]) not in (set(), _sides(quoted)):
        yield "laterality"
    if _any(quoted, int(Flag.ASKED), theirs):
        return
    if _any([claimed], _DENIED, mine & theirs) != _any(quoted, _DENIED, mine & theirs):
        yield "negation"
    if _any(quoted, _DOUBTED, theirs) and not _any([claimed], _DOUBTED, mine):
        yield "certainty"


def _stems(row: Iterable[Facts]) -> set[str]:
    return {stem for facts in row for _, stem in facts.content}


def _sides(row: Iterable[Facts]) -> set[str]:
    return {one.side for facts in row for one in facts.sides if one.side != PAIR}


def _any(row: Iterable[Facts], flags: int, stems: set[str]) -> bool:
    """Whether any of some words of meaning is so coloured."""
    return any(facts.flags[at] & flags for facts in row for at, stem in facts.content if stem in stems)
