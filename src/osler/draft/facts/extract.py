"""Everything that a text says and that can be checked, read in one pass of linear time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Concept, Kind, Lexicon, lexicon, singular
from osler.draft.facts.context import Contexts, Flag, read_contexts
from osler.draft.facts.dates import Day, read_days
from osler.draft.facts.quantities import DOSE_UNITS, Quantity, read_quantities
from osler.draft.facts.rates import Rate, read_rates
from osler.draft.facts.tables import listed
from osler.draft.facts.words import SENTENCE_ENDS, Word, content, read_words, stem

PAIR: Final = "pair"
_SIDES: Final = {"left": "left", "right": "right", "bilateral": "both", "bilaterally": "both", "both": "both"}
_PARTS: Final = SENTENCE_ENDS | {"but", ";", "while", "than"}
_AFTER_NO: Final = SENTENCE_ENDS | {",", ";"}
_BESIDE: Final = 9
_MOST_SIDES: Final = 20
_SITE_REACH: Final = 4
_SITE_BEFORE: Final = 4
_DOSE_REACH: Final = 12
_DOSE_BEFORE: Final = 6


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept as a text speaks of it.

    Parameters
    ----------
    concept : Concept
    start, end : int
        Words that name it, end exclusive.
    flags : int
        Bits of :class:`~osler.draft.facts.context.Flag`.
    kin : str
        Whose it is where it is not the patient's.
    doses : tuple of Quantity
    rates : tuple of Rate
        Of a drug.
    side : str
        The side that it was said of, in the same breath.
    """

    concept: Concept
    start: int
    end: int
    flags: int
    kin: str = ""
    doses: tuple[Quantity, ...] = ()
    rates: tuple[Rate, ...] = ()
    side: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """A side of the body, and the part of it; where none stands beside it, ``~`` and the word that follows.

    The side is ``left``, ``right``, ``both``, or ``pair`` where the part was spoken of in the plural only ("my legs").
    """

    side: str
    site: str
    at: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text says, by word.

    Parameters
    ----------
    words : tuple of Word
    flags : tuple of int
        Of each word.
    kin : tuple of str
        Of each word.
    quantities, rates, days, mentions, sides : tuple
    content : tuple of (int, str)
        Place and stem of the words that carry meaning and are no part of a number, a rate or a date.
    denied : tuple of int
        Places in `content` of words that a negation stands right before.
    """

    words: tuple[Word, ...]
    flags: tuple[int, ...]
    kin: tuple[str, ...]
    quantities: tuple[Quantity, ...] = ()
    rates: tuple[Rate, ...] = ()
    days: tuple[Day, ...] = ()
    mentions: tuple[Mention, ...] = ()
    sides: tuple[Side, ...] = ()
    content: tuple[tuple[int, str], ...] = ()
    denied: tuple[int, ...] = ()


def extract(text: str, *, spoken: bool = False) -> Facts:
    """Return what a text says.

    Parameters
    ----------
    text : str
    spoken : bool
        Whether it is an utterance, where questions are asked, or a sentence of a note.
    """
    words = read_words(text)
    quantities = read_quantities(words)
    rates = read_rates(words, quantities)
    contexts = read_contexts(words, spoken=spoken)
    sides = tuple(_sides(words))
    concepts = _concepts(lexicon(), words)
    for start, end, _ in concepts:
        if _is_answered_no(words, end):
            contexts.flags[start:end] = [flag | Flag.NEGATED for flag in contexts.flags[start:end]]
    mentions = [
        Mention(concept, start, end, contexts.flags[start], contexts.kin[start], side=_beside(words, sides, start, end))
        for start, end, concept in concepts
    ]
    days = read_days(words, quantities)
    spans = [(one.start, one.end) for row in (quantities, rates, days) for one in row]
    counted = {at for start, end in spans for at in range(start, end)}
    meaning = tuple((at, word) for at, word in content(words) if at not in counted)
    return Facts(
        words,
        tuple(contexts.flags),
        tuple(contexts.kin),
        quantities,
        rates,
        days,
        tuple(_with_doses(words, mentions, quantities, rates)),
        sides,
        meaning,
        tuple(_turning(meaning, contexts)),
    )


def _is_answered_no(words: Sequence[Word], end: int) -> bool:
    """Whether a bare "no" follows: "fever yes, chills no"."""
    rest = [word.text for word in words[end : end + 3]]
    rest = rest[1:] if rest[:1] == [","] else rest
    return rest[:1] in (["no"], ["nope"]) and (len(rest) == 1 or rest[1] in _AFTER_NO)


def _turning(meaning: Sequence[tuple[int, str]], contexts: Contexts) -> Iterator[int]:
    """Yield the first word of meaning after each negation."""
    last = -2
    for number, (at, _) in enumerate(meaning):
        if at in contexts.denied and contexts.flags[at] & Flag.NEGATED:
            if at - last > 1:
                yield number
            last = at


def _concepts(known: Lexicon, words: Sequence[Word]) -> list[tuple[int, int, Concept]]:
    """Find concepts; hyphens and slashes do not part a name, other marks do."""
    found: list[tuple[int, int, Concept]] = []
    run: list[int] = []
    for at, word in enumerate(words):
        if word.is_word:
            run.append(at)
        elif word.text not in "-/'’":
            found.extend(_named(known, words, run))
            run = []
    return [*found, *_named(known, words, run)]


def _named(known: Lexicon, words: Sequence[Word], run: list[int]) -> list[tuple[int, int, Concept]]:
    if not run:
        return []
    return [
        (run[named.start], run[named.end - 1] + 1, named.concept)
        for named in known.find([words[at].text for at in run])
    ]


def _with_doses(
    words: Sequence[Word], mentions: list[Mention], quantities: Sequence[Quantity], rates: Sequence[Rate]
) -> list[Mention]:
    drugs = [number for number, mention in enumerate(mentions) if mention.concept.kind is Kind.DRUG]
    if not drugs:
        return mentions
    doses: dict[int, list[Quantity]] = {}
    often: dict[int, list[Rate]] = {}
    sentence = _sentence_numbers(words)
    for quantity in quantities:
        if quantity.unit in DOSE_UNITS:
            owner = _owner(mentions, drugs, quantity.start, quantity.end, sentence, words)
            doses.setdefault(owner, []).append(quantity)
    for rate in rates:
        owner = _owner(mentions, drugs, rate.start, rate.end, sentence, words)
        often.setdefault(owner, []).append(rate)
    return [
        Mention(one.concept, one.start, one.end, one.flags, one.kin, tuple(doses.get(at, ())), tuple(often.get(at, ())))
        for at, one in enumerate(mentions)
    ]


def _sentence_numbers(words: Sequence[Word]) -> list[int]:
    numbers, current = [], 0
    for word in words:
        numbers.append(current)
        current += word.text in SENTENCE_ENDS
    return numbers


def _owner(
    mentions: list[Mention], drugs: list[int], start: int, end: int, sentence: list[int], words: Sequence[Word]
) -> int:
    """Return the drug that a dose belongs to: the one of "20 mg of ...", else the last before, else the next after."""
    low, high = 0, len(drugs)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if mentions[drugs[middle]].start < start else (low, middle)
    before = drugs[low - 1] if low else -1
    after = drugs[low] if low < len(drugs) else -1
    follows = after >= 0 and mentions[after].start - end <= _DOSE_BEFORE
    follows = follows and sentence[mentions[after].start] == sentence[start]
    if follows and any(word.text == "of" for word in words[end : end + 2]):
        return after
    near = before >= 0 and start - mentions[before].end <= _DOSE_REACH
    if near and sentence[mentions[before].start] == sentence[start]:
        return before
    return after if follows else -1


def _sides(words: Sequence[Word]) -> list[Side]:
    sides: list[Side] = []
    for at, word in enumerate(words):
        side = _SIDES.get(word.text)
        if side is None:
            if word.text[-1] == "s" and _site_at(words, at):
                sides.append(Side(PAIR, _site_at(words, at), at))
            continue
        site = _site(words, at)
        if not site and side != "both":
            site = _following(words, at)
        if site or word.text in ("left", "bilaterally") or _is_plain_side(words, at):
            sides.append(Side(side, site, at))
    return sides


def _is_plain_side(words: Sequence[Word], at: int) -> bool:
    """Whether a "right" by itself is a side: "the right side", "on the right"."""
    following = words[at + 1].text if at + 1 < len(words) else ""
    before = [word.text for word in words[max(0, at - 2) : at]]
    return following in ("side", "sided") or before in (["on", "the"], ["to", "the"], ["on", "your"], ["on", "my"])


def _following(words: Sequence[Word], at: int) -> str:
    """Return ``~`` and the stem of the noun after a side that no part of the body follows: "left adnexal mass"."""
    place = at + 1
    while place < min(len(words), at + 3) and words[place].text in listed("between_side_and_noun"):
        place += 1
    if place >= len(words) or words[place].text in listed("right_is_no_side") or not words[place].text.isalpha():
        return ""
    return "~" + stem(words[place].text) if content(words[place : place + 1]) else ""


def _beside(words: Sequence[Word], sides: Sequence[Side], start: int, end: int) -> str:
    """Return the side closest to a mention, in the same clause."""
    low = bisect_left(sides, start - _BESIDE, key=lambda side: side.at)
    best, closest = "", _BESIDE
    for side in sides[low : low + _MOST_SIDES]:
        if side.side == PAIR:
            continue
        gap = side.at - end if side.at >= end else start - side.at
        first, last = min(side.at, start), max(side.at, end)
        if gap < closest and not any(word.text in _PARTS for word in words[first:last]):
            best, closest = side.side, gap
    return best


def _site(words: Sequence[Word], at: int) -> str:
    """Return the part of the body beside a side: after it ("right knee"), or before ("the knee on the right")."""
    if words[at].text == "right" and at + 1 < len(words) and words[at + 1].text in listed("right_is_no_side"):
        return ""
    start = at + 1
    while start < min(len(words), at + 6) and _is_hand_side(words, start):
        start += 1
    for place in range(start, min(len(words), start + _SITE_REACH)):
        if words[place].text in SENTENCE_ENDS or words[place].text in (",", "but") or words[place].text in _SIDES:
            break
        if words[place].text == "and" and start > at + 1:
            break
        site = _site_at(words, place)
        if site:
            return site
    for place in range(at - 1, max(-1, at - 1 - _SITE_BEFORE), -1):
        if words[place].text in SENTENCE_ENDS or words[place].text in (",", "and"):
            break
        site = _site_at(words, place)
        if site:
            return site
    return ""


def _is_hand_side(words: Sequence[Word], at: int) -> bool:
    """Whether it is a word of "right hand side of the"."""
    if words[at].text == "hand":
        return at + 1 < len(words) and words[at + 1].text in ("side", "sided")
    return words[at].text in ("side", "sided", "-", "of", "the")


def _site_at(words: Sequence[Word], place: int) -> str:
    following = words[place + 1].text if place + 1 < len(words) else ""
    if words[place].text == "hand" and following in ("side", "sided", "dominant", "-"):
        return ""
    for name in (f"{words[place].text} {following}", words[place].text, singular(words[place].text)):
        concept = lexicon().concept(name)
        if concept and concept.kind is Kind.SITE:
            return concept.name
    return ""


__all__ = ["Facts", "Flag", "Mention", "Side", "extract"]
