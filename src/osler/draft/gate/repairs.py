"""Where a speaker puts something right: "sorry", "I mean", "actually", and the words that are taken back by it."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from osler.clinical.lexicon import Kind
from osler.draft.facts.extract import PAIR, Facts
from osler.draft.facts.tables import named

GATE: Final = "osler.draft.gate"
_DOUBTFUL: Final = frozenset({("i", "mean"), ("wait",), ("actually",)})
_ACTUALLY: Final = ("actually",)
_MOST: Final = 40
_LEAD: Final = 4
_REACH: Final = 14
_BEFORE: Final = 12
_AFTER: Final = 10


@dataclass(frozen=True, slots=True)
class Repairs:
    """What an utterance puts right.

    Parameters
    ----------
    ranges : tuple of (int, int)
        Words that put right what was said before, by anyone.
    plainly : bool
        Whether words such as "sorry" or "I misspoke" say so, rather than "I mean" or "actually".
    retracted : frozenset of int
        Words that were taken back in the same breath.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    plainly: bool = False
    retracted: frozenset[int] = frozenset()

    def covers(self, at: int) -> bool:
        """Whether a word stands where something is put right."""
        return any(low <= at < high for low, high in self.ranges)


def read_repairs(facts: Facts) -> Repairs:
    """Return what an utterance puts right; of very many corrections the first count."""
    places = _places([word.text for word in facts.words])
    if not places:
        return Repairs()
    taken_back: set[int] = set()
    for row in _rows(facts):
        starts = [at for _, at in row]
        for start, end, cue in places:
            old = row[bisect_left(starts, start - _BEFORE) : bisect_left(starts, start)]
            new = row[bisect_left(starts, end) : bisect_left(starts, end + _AFTER)]
            if cue != _ACTUALLY and old and new and old[-1][0] != new[0][0]:
                taken_back.add(old[-1][1])
    return Repairs(
        tuple((max(0, start - _LEAD), end + _REACH) for start, end, _ in places),
        any(cue not in _DOUBTFUL for _, _, cue in places),
        frozenset(taken_back),
    )


def _places(texts: Sequence[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    found: list[tuple[int, int, tuple[str, ...]]] = []
    cues = _cues()
    for at, text in enumerate(texts):
        for cue in cues.get(text, ()):
            if tuple(texts[at : at + len(cue)]) == cue:
                found.append((at, at + len(cue), cue))
                break
        if len(found) == _MOST:
            break
    return found


def _rows(facts: Facts) -> list[list[tuple[object, int]]]:
    """Numbers, sides and drugs, each with the word that it starts at."""
    return [
        [((one.value, one.out_of), one.start) for one in facts.quantities if one.sure],
        [(one.side, one.at) for one in facts.sides if one.side != PAIR],
        [(one.concept.name, one.start) for one in facts.mentions if one.concept.kind is Kind.DRUG],
    ]


@lru_cache(maxsize=1)
def _cues() -> dict[str, list[tuple[str, ...]]]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for cue in (*(tuple(words.split()) for words in named("corrections", GATE)), _ACTUALLY):
        by_first.setdefault(cue[0], []).append(cue)
    return {first: sorted(cues, key=len, reverse=True) for first, cues in by_first.items()}
