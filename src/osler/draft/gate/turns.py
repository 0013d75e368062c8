"""Words next to a "no": where a statement and its quotes share them, both have it or neither.

Lexicons know what is denied of a symptom or a drug. Of all other words only their neighbours tell: "doing well" with
a "not" before it on one side is not the same as without. Words that carry no sense ("is", "the patient", "uh") are
left out first, so that a neighbour stays one when a sentence is put into the third person.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Facts
from osler.draft.facts.tables import listed
from osler.draft.facts.words import SENTENCE_ENDS, stem
from osler.draft.gate.repairs import GATE

_NEGATED: Final = int(Flag.NEGATED)
_UNSAID: Final = int(Flag.ASKED | Flag.STOPPED)
_WIDE: Final = 5
_EDGE: Final = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A word of sense between its neighbours.

    Parameters
    ----------
    pairs : tuple of (str, str, str)
        The word with the one before it, and with the one after it; with neither where it stands alone.
    turns : int
        How many negations stand right before it.
    denied : bool
        Whether one does anywhere near.
    unsaid : bool
        Whether it was only asked, or is given up.
    """

    pairs: tuple[tuple[str, str, str], ...]
    turns: int
    denied: bool
    unsaid: bool


def is_turned(claimed: Facts, quoted: Iterable[tuple[Facts, Sequence[int], int, int]]) -> bool:
    """Whether a word has a "no" before it on one side only.

    Parameters
    ----------
    claimed : Facts
    quoted : iterable of (Facts, flags, int, int)
        Utterances with their flags after the answer, and the words of them that are quoted.
    """
    mine = list(_places(claimed, claimed.flags, 0, len(claimed.words)))
    theirs = [place for facts, flags, low, high in quoted for place in _places(facts, flags, low, high)]
    return _lost(mine, theirs) or _lost(theirs, mine) or _doubled(mine, theirs)


def _lost(here: Sequence[Place], there: Sequence[Place]) -> bool:
    """Whether a negation of one side stands at words that the other side has, and never denies."""
    turned = [place for place in here if place.turns and not place.unsaid]
    if not turned:
        return False
    known = _by_pair(there)
    kept = {pair for place in here if not place.denied for pair in place.pairs}
    return any(
        all(not other.denied and not other.unsaid for other in known[pair])
        for place in turned
        for pair in place.pairs
        if pair in known and pair not in kept
    )


def _doubled(mine: Sequence[Place], theirs: Sequence[Place]) -> bool:
    """Whether a "no" of the quotes was turned round by another one: "is not no"."""
    twice = [place for place in mine if place.turns > 1]
    known = _by_pair(theirs) if twice else {}
    return any(
        all(other.turns < place.turns for other in known[pair])
        for place in twice
        for pair in place.pairs
        if pair in known
    )


def _by_pair(places: Iterable[Place]) -> dict[tuple[str, str, str], list[Place]]:
    known: dict[tuple[str, str, str], list[Place]] = {}
    for place in places:
        for pair in place.pairs:
            known.setdefault(pair, []).append(place)
    return known


def _places(facts: Facts, flags: Sequence[int], low: int, high: int) -> Iterator[Place]:
    empty, negations = listed("empty_words", GATE), listed("negations", GATE)
    words: list[tuple[str, int, bool, bool]] = []
    turns, since = 0, _WIDE + 1
    for at in range(low, high):
        text = facts.words[at].text
        if text in SENTENCE_ENDS:
            words.append((_EDGE, 0, False, False))
            turns, since = 0, _WIDE + 1
        elif text in negations and not _is_answer(facts, at, high):
            turns, since = turns + 1, 0
        elif text not in empty and text[0].isalnum():
            flag = flags[at]
            words.append((stem(text), turns, since < _WIDE or bool(flag & _NEGATED), bool(flag & _UNSAID)))
            turns, since = 0, since + 1
    for number, (word, turned, denied, unsaid) in enumerate(words):
        if word:
            before = words[number - 1][0] if number else _EDGE
            after = words[number + 1][0] if number + 1 < len(words) else _EDGE
            pairs = [(before, word, _EDGE)] * bool(before) + [(_EDGE, word, after)] * bool(after)
            yield Place(tuple(pairs) or ((_EDGE, word, _EDGE),), turned, denied, unsaid)


def _is_answer(facts: Facts, at: int, high: int) -> bool:
    """Whether a "no" answers, or ends a question ("is n't it"), rather than denies what follows."""
    text = facts.words[at].text
    following = facts.words[at + 1].text if at + 1 < high else "."
    if text == "not":
        return following in ("it", "you", "they", "he", "she", "we", "that")
    before = facts.words[at - 1].text if at else ","
    starts = following in listed("clause_starts") and before not in ("has", "have", "had", "with")
    return text == "no" and (not following[0].isalnum() or starts)
