"""The rules: each says what of a statement its evidence does not carry, and whether the evidence says otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.note import Topic
from osler.domain.transcript import SpeakerRole
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import PAIR, Facts, Mention
from osler.draft.facts.quantities import Quantity
from osler.draft.facts.words import stem
from osler.draft.gate.evidence import Behind
from osler.draft.gate.kinship import is_class_of, same_region

_GIVEN: Final = int(Flag.STARTED | Flag.CONTINUED | Flag.RAISED | Flag.LOWERED)
_ALLERGY_STEMS: Final = frozenset(stem(word) for word in ("allergic", "allergy", "reaction", "hives", "anaphylaxis"))
_OXYGEN: Final = frozenset({"o2", "spo2", "sao2"})
_OXYGEN_SAID: Final = _OXYGEN | {"oxygen", "saturation", "sat", "sats"}
_LISTING: Final = (":", "to", ",", "and", "or", "include")


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that a statement fails.

    Parameters
    ----------
    rule : str
    contradicted : bool
        Whether the evidence says something else, rather than nothing.
    """

    rule: str
    contradicted: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement as the rules read it."""

    facts: Facts
    topic: Topic | None


Rule = Callable[[Claim, Behind], Iterator[Failure]]


def numbers(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield the numbers, pairs and dates of the statement that the evidence does not say, in whatever form."""
    facts = claim.facts
    in_dates = {at for day in facts.days for at in range(day.start, day.end)}
    in_names = {at for one in facts.mentions if not _is_other_type(one, evidence) for at in range(one.start, one.end)}
    in_rates = {at for rate in facts.rates for at in range(rate.start, rate.end)}
    elsewhere_checked = in_dates | in_rates | in_names
    for quantity in facts.quantities:
        if quantity.sure and quantity.start not in elsewhere_checked and not _said(quantity, evidence):
            other = any(
                near and one.unit == quantity.unit and (one.unit or (one.out_of and quantity.out_of))
                for one, near in evidence.quantities
            )
            yield Failure("number", bool(other))
    for day in facts.days:
        agreeing = [other for other, _ in evidence.days if day.agrees(other)]
        if not agreeing or (day.year and not any(other.year for other in agreeing) and not _has(day.year, evidence)):
            yield Failure("number", any(near for _, near in evidence.days))
    bound = {rate.start for mention in facts.mentions for rate in mention.rates}
    for rate in facts.rates:
        counted = any(rate.start <= quantity.start < rate.end and quantity.sure for quantity in facts.quantities)
        said = any(rate.per_day == other.per_day for other, _ in evidence.rates)
        if rate.start not in bound and counted and not said:
            yield Failure("number", bool(evidence.rates))
    for word in facts.words:
        if word.text[0].isalpha() and any(mark.isdigit() for mark in word.text) and not _coded(word.text, evidence):
            yield Failure("number")


def _is_other_type(mention: Mention, evidence: Behind) -> bool:
    """Whether a name has a number, as type 2 diabetes, and the evidence speaks of a type without that name."""
    name = mention.concept.name
    return "type" in evidence.texts and name.startswith("type") and name not in _said_names(evidence)


def _said_names(evidence: Behind) -> set[str]:
    return {spoken.mention.concept.name for spoken in evidence.mentions}


def _has(year: int, evidence: Behind) -> bool:
    return any(one.value in (year, year % 100) for one, _ in evidence.quantities)


def _said(quantity: Quantity, evidence: Behind) -> bool:
    """Look for a number; what counts other things is no proof where the same things were counted otherwise."""
    if quantity.out_of is not None:
        return _pair_said(quantity, evidence)
    alike = [one for one, near in evidence.quantities if near and one.shares_scale(quantity)]
    same_noun = [one for one, near in evidence.quantities if near and quantity.noun and one.noun == quantity.noun]
    agreeing = [(one, near) for one, near in evidence.quantities if quantity.agrees(one)]
    if same_noun and not any(quantity.agrees(one) for one in same_noun):
        return False
    return any((near and not one.noun) or one.unit or not alike for one, near in agreeing)


def _pair_said(quantity: Quantity, evidence: Behind) -> bool:
    """Look for a pair as a pair where one was said; two numbers by themselves will do only where none was."""
    pairs = [one for one, _ in evidence.quantities if one.out_of is not None]
    if any(quantity.agrees(one) for one, _ in evidence.quantities):
        return True
    if any({one.value, one.out_of} & {quantity.value, quantity.out_of} for one in pairs):
        return False
    values = {one.value for one, _ in evidence.quantities}
    return {quantity.value, quantity.out_of} <= values


def _coded(text: str, evidence: Behind) -> bool:
    """Whether a name such as L4 or A1c was said, in one piece or in several."""
    if text in evidence.texts or any(text == name for name in _names(evidence)):
        return True
    if text in _OXYGEN and not _OXYGEN_SAID.isdisjoint(evidence.texts):
        return True
    digits = "".join(mark for mark in text if mark.isdigit())
    return len(digits) < 6 and any(one.value == int(digits) for one, _ in evidence.quantities)


def _names(evidence: Behind) -> Iterator[str]:
    for spoken in evidence.mentions:
        yield from spoken.mention.concept.name.split()


def placeholders(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield placeholders for what was said that the evidence does not have; names may stand anywhere."""
    for word in claim.facts.words:
        stands = word.text[0] == "[" and len(word.text) > 1 and not word.text.startswith("[NAME")
        if stands and word.text not in evidence.texts:
            yield Failure("placeholder")


def drugs(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield drugs that the evidence names by none of their names or classes, or with another dose or rate."""
    said = [spoken for spoken in evidence.mentions if spoken.mention.concept.kind is Kind.DRUG]
    for mention in claim.facts.mentions:
        if mention.concept.kind is not Kind.DRUG:
            continue
        same = [one for one in said if _covers(mention, one.mention)]
        if not same:
            yield Failure("drug", any(one.near for one in said))
            continue
        yield from _doses(mention, [one.mention for one in same], evidence)
        yield from _allergy(claim, mention, [one.mention for one in same], evidence)
        yield from _action(mention, [one.mention for one in same])
        ordered = not evidence.has_clinician or any(one.role is SpeakerRole.CLINICIAN for one in same)
        if _is_order(claim, mention) and not ordered:
            yield Failure("order")


def allergens(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield what a list of allergies has and the evidence has not, also where no lexicon knows it."""
    texts = [word.text for word in claim.facts.words]
    named = {at for mention in claim.facts.mentions for at in range(mention.start, mention.end)}
    for at, word in claim.facts.content:
        flags = claim.facts.flags[at]
        listed_here = at > 0 and texts[at - 1] in _LISTING and flags & Flag.ALLERGY and not flags & Flag.NEGATED
        if listed_here and at not in named and word not in evidence.stems:
            yield Failure("allergy")


def _covers(claimed: Mention, said: Mention) -> bool:
    return claimed.concept.name == said.concept.name or is_class_of(claimed.concept.name, said.concept.name)


def _doses(claimed: Mention, said: list[Mention], evidence: Behind) -> Iterator[Failure]:
    bound = [dose for mention in said for dose in mention.doses]
    for dose in claimed.doses:
        if any(dose.agrees(other) for other in bound):
            continue
        alike = [other for other in bound if other.unit == dose.unit or dose.unit in ("mg", "mcg", "g")]
        elsewhere = any(dose.agrees(other) for other, _ in evidence.quantities)
        if alike or not elsewhere or _is_of_another(dose, said, evidence):
            yield Failure("dose", bool(alike) or elsewhere)
    rates = [rate for mention in said for rate in mention.rates] or [rate for rate, _ in evidence.rates]
    for rate in claimed.rates:
        if not any(rate.per_day == other.per_day for other in rates):
            yield Failure("dose", bool(rates))


def _is_of_another(dose: Quantity, said: list[Mention], evidence: Behind) -> bool:
    names = {mention.concept.name for mention in said}
    return any(
        dose.agrees(other)
        for spoken in evidence.mentions
        if spoken.mention.concept.name not in names
        for other in spoken.mention.doses
    )


def _allergy(claim: Claim, claimed: Mention, said: list[Mention], evidence: Behind) -> Iterator[Failure]:
    if claimed.flags & Flag.NEGATED:
        return
    allergic = bool(claimed.flags & Flag.ALLERGY) or claim.topic is Topic.ALLERGIES
    said_allergic = [bool(mention.flags & Flag.ALLERGY) for mention in said]
    if allergic and not any(said_allergic) and not _ALLERGY_STEMS & evidence.stems.keys():
        yield Failure("allergy", True)
    if not allergic and all(said_allergic) and not _ALLERGY_STEMS & {one for _, one in claim.facts.content}:
        yield Failure("allergy", True)


def _action(claimed: Mention, said: list[Mention]) -> Iterator[Failure]:
    flags = claimed.flags
    stopped = any(mention.flags & Flag.STOPPED for mention in said)
    given = any(mention.flags & _GIVEN and not mention.flags & Flag.STOPPED for mention in said)
    stops = bool(flags & Flag.STOPPED)
    if (stops and given and not stopped) or (flags & _GIVEN and not stops and stopped and not given):
        yield Failure("action", True)
    for one, other in ((Flag.RAISED, Flag.LOWERED), (Flag.LOWERED, Flag.RAISED)):
        opposed = any(mention.flags & other for mention in said) and not any(mention.flags & one for mention in said)
        if flags & one and opposed:
            yield Failure("action", True)


def _is_order(claim: Claim, mention: Mention) -> bool:
    if mention.flags & (Flag.NEGATED | Flag.HISTORICAL | Flag.ALLERGY):
        return False
    if claim.topic is Topic.PLAN:
        return True
    first = claim.facts.words[0].text
    return bool(mention.flags & Flag.STARTED) and first in ("start", "begin", "prescribe", "add", "order", "initiate")


def laterality(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield sides that the evidence does not say of the same part of the body."""
    for side in claim.facts.sides:
        if side.side == PAIR:
            continue
        for sides in _sides_said(side.site, evidence):
            if _holds(side.side, sides):
                break
            if sides - {PAIR}:
                yield Failure("laterality", True)
                break
        else:
            yield Failure("laterality")
    for mention in claim.facts.mentions:
        if mention.side and mention.concept.kind is not Kind.SITE:
            sides = {
                one.mention.side
                for one in evidence.mentions
                if one.near and one.mention.side and one.mention.concept.name == mention.concept.name
            }
            if sides and not _holds(mention.side, sides):
                yield Failure("laterality", True)


def _sides_said(site: str, evidence: Behind) -> Iterator[set[str]]:
    """Yield the sides said of a part of the body, from the closest evidence to the farthest."""
    for close in (True, False):
        said = [other for other, near in evidence.sides if (near or not close)]
        yield {other.side for other in said if other.site == site}
        yield {
            other.side
            for other in said
            if not _is_part(site) or not _is_part(other.site) or same_region(site, other.site)
        }
    yield set(evidence.sides_of(site))


def _is_part(site: str) -> bool:
    return bool(site) and site[0] != "~"


def _holds(side: str, sides: set[str]) -> bool:
    return side in sides or (side == "both" and (PAIR in sides or sides >= {"left", "right"}))
