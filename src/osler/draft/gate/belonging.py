"""Whether a note is of this encounter at all.

Another patient's note may be made of ordinary sentences that each find some support. What gives it away is the whole:
its rare words, its numbers, and how many of its statements pass. The three are weighed by a logistic regression on
ACI-BENCH's training notes, each against its own transcript and against those of the others (``weights/README.md``).
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

from osler.draft.facts.extract import Facts

_RARE: Final = 0.45
_NUMBERS: Final = 0.26
_PASSED: Final = 0.29
LEAST: Final = 0.54
_TOO_SHORT: Final = 8


def belongs(note: Sequence[Facts], transcript: Iterable[Facts], *, passed: float) -> bool:
    """Whether what a note says is what an encounter spoke of.

    Parameters
    ----------
    note, transcript : facts of the statements, and of the utterances
    passed : float
        Share of the statements that the rules pass, 0 to 1.

    Returns
    -------
    bool
        True also for what is too short to tell; its statements have to stand for themselves.
    """
    said = {term for facts in transcript for term in terms(facts)}
    noted = {term for facts in note for term in terms(facts)}
    return len(noted) < _TOO_SHORT or score(noted, said, passed=passed) >= LEAST


def score(noted: set[str], said: set[str], *, passed: float) -> float:
    """Return how much of a note an encounter accounts for, 0 to 1."""
    weights = {term: rarity(term) ** 2 for term in noted}
    rare = sum(weight for term, weight in weights.items() if term in said) / (sum(weights.values()) or 1.0)
    numbers = [term in said for term in noted if term[0] == "#"]
    return _RARE * rare + _NUMBERS * (sum(numbers) + rare) / (len(numbers) + 1) + _PASSED * passed


def terms(facts: Facts) -> set[str]:
    """Return the ``=`` concepts and ``#`` numbers of a text, and the stems of its other words."""
    covered = {at for mention in facts.mentions for at in range(mention.start, mention.end)}
    found = {stem for at, stem in facts.content if at not in covered}
    found.update("=" + mention.concept.name for mention in facts.mentions)
    found.update(f"#{quantity.value}" for quantity in facts.quantities if quantity.sure)
    return found


def rarity(term: str) -> float:
    """Return the logarithm of how many encounters there are for one that has the term."""
    counts, encounters = _counts()
    return math.log((encounters + 1) / (counts.get(term, 1) + 1))


@lru_cache(maxsize=1)
def _counts() -> tuple[dict[str, int], int]:
    first, *lines = files("osler.draft.gate.weights").joinpath("rarity.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.rpartition(" ") for line in lines)
    return {term: int(count) for term, _, count in rows}, int(first)
