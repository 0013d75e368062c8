"""What stands behind a statement: the quoted sentences, and around them what gives them their sense."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from osler.clinical.lexicon import Kind
from osler.domain.note import Evidence
from osler.domain.transcript import SpeakerRole
from osler.draft.facts.dates import Day
from osler.draft.facts.extract import Facts, Mention, Side
from osler.draft.facts.quantities import Quantity
from osler.draft.facts.rates import Rate
from osler.draft.gate.conversation import Conversation, Heard, sentences

_AROUND: Final = 120
_CLOSE: Final = 40
_SHORT: Final = 12
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A concept as it was said.

    Parameters
    ----------
    mention : Mention
        Its flags are those after the answer.
    near : bool
        Whether it stands in the quoted sentences.
    role : SpeakerRole
        Of who said it.
    utterance : int
    """

    mention: Mention
    near: bool
    role: SpeakerRole
    utterance: int


@dataclass(slots=True)
class Behind:
    """Everything that stands behind one statement; each fact with whether it is near.

    Parameters
    ----------
    stems : dict of str to set of tuple of (int, str, bool)
        Of each stem the flags, the kin and the nearness it was said with.
    quoted : list of (Facts, flags, int, int)
        The quoted sentences as ranges of words of their utterances.
    turning : set of str
        Stems near that a negation stands right before.
    has_clinician : bool
        Whether anyone in the encounter is known to be the clinician.
    sides_of : callable
        The sides that a part of the body was given anywhere in the encounter.
    """

    mentions: list[Spoken] = field(default_factory=list)
    quantities: list[tuple[Quantity, bool]] = field(default_factory=list)
    rates: list[tuple[Rate, bool]] = field(default_factory=list)
    days: list[tuple[Day, bool]] = field(default_factory=list)
    sides: list[tuple[Side, bool]] = field(default_factory=list)
    stems: dict[str, set[tuple[int, str, bool]]] = field(default_factory=dict)
    quoted: list[tuple[Facts, Sequence[int], int, int]] = field(default_factory=list)
    turning: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    utterances: list[int] = field(default_factory=list)
    instructs: bool = False
    has_clinician: bool = True
    sides_of: Callable[[str], frozenset[str]] = field(default=lambda _: frozenset())


def behind(conversation: Conversation, evidence: Iterable[Evidence]) -> tuple[Behind, bool]:
    """Return what stands behind a statement, and whether every quote is where it is said to be."""
    found = Behind(has_clinician=conversation.has_clinician)
    there = True
    near: dict[int, list[tuple[int, int]]] = {}
    for one in dict.fromkeys(evidence):
        if one.utterance not in conversation:
            there = False
            continue
        heard = conversation[one.utterance]
        place = heard.folded.find(one.quote)
        if place is None:
            there = False
            continue
        found.instructs = found.instructs or heard.instructs
        if not heard.instructs:
            low, high = _words_at(heard, *place)
            near.setdefault(one.utterance, []).append(sentences(heard.facts.words, low, high))
    for number, ranges in near.items():
        _gather(found, conversation, number, ranges)
    return found, there


def _words_at(heard: Heard, start: int, end: int) -> tuple[int, int]:
    words = heard.facts.words
    low = bisect_right(words, start, key=lambda word: word.end)
    high = bisect_left(words, end, key=lambda word: word.start)
    return low, max(low, high)


def _gather(found: Behind, conversation: Conversation, number: int, ranges: Sequence[tuple[int, int]]) -> None:
    heard = conversation[number]
    found.utterances.append(number)
    for low, high in ranges:
        found.quoted.append((heard.facts, heard.flags, low, high))
        _add(found, heard, (max(0, low - _AROUND), high + _AROUND), (low, high))
    whole = (0, len(heard.facts.words))
    if heard.partner and not conversation[heard.partner].instructs:
        partner = conversation[heard.partner]
        _add(found, partner, _nearest(partner, first=heard.partner > number), None)
    elif whole[1] <= _SHORT and number > 1 and not conversation[number - 1].instructs:
        before = conversation[number - 1]
        _add(found, before, _nearest(before, first=False), None)


def _nearest(heard: Heard, *, first: bool) -> tuple[int, int]:
    """Return the part of an utterance beside another: its first words, or its last."""
    length = len(heard.facts.words)
    return (0, min(length, _AROUND)) if first else (max(0, length - _AROUND), length)


def _add(found: Behind, heard: Heard, around: tuple[int, int], near: tuple[int, int] | None) -> None:
    facts = heard.facts

    def is_near(at: int) -> bool:
        return near is not None and near[0] <= at < near[1]

    for mention in _within(facts.mentions, around, lambda one: one.start):
        if mention.start not in heard.repairs.retracted:
            doses = tuple(dose for dose in mention.doses if dose.start not in heard.repairs.retracted)
            resolved = replace(mention, flags=heard.flags[mention.start], kin=heard.kin[mention.start], doses=doses)
            found.mentions.append(Spoken(resolved, is_near(mention.start), heard.said.role, heard.said.number))
    close = around if near is None else (max(around[0], near[0] - _CLOSE), min(around[1], near[1] + _CLOSE))
    for one in _within(facts.quantities, close, lambda one: one.start):
        if one.start not in heard.repairs.retracted:
            found.quantities.append((one, is_near(one.start)))
    found.rates.extend((one, is_near(one.start)) for one in _within(facts.rates, around, lambda one: one.start))
    found.days.extend((one, is_near(one.start)) for one in _within(facts.days, around, lambda one: one.start))
    for side in _within(facts.sides, around, lambda one: one.at):
        if side.at not in heard.repairs.retracted:
            found.sides.append((side, is_near(side.at)))
    for at, stem in _within(facts.content, around, lambda one: one[0]):
        found.stems.setdefault(stem, set()).add((heard.flags[at], heard.kin[at], is_near(at)))
    found.turning.update(facts.content[at][1] for at in facts.denied if is_near(facts.content[at][0]))
    low, high = max(0, around[0]), min(len(facts.words), around[1])
    found.texts.update(word.text for word in facts.words[low:high])


def _within(row: Sequence[T], around: tuple[int, int], key: Callable[[T], int]) -> Sequence[T]:
    return row[bisect_left(row, around[0], key=key) : bisect_left(row, around[1], key=key)]


def is_clinical(mention: Mention) -> bool:
    """Whether yes and no matter of a mention; a part of the body is only a place."""
    return mention.concept.kind is not Kind.SITE
