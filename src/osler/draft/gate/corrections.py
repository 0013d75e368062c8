"""What was put right later: a dose, a side, a yes or no that somebody corrected after the quoted words."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeVar

from osler.clinical.lexicon import Kind
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Mention
from osler.draft.gate.conversation import Conversation, Heard
from osler.draft.gate.evidence import Behind
from osler.draft.gate.rules import Claim, Failure

_SOON: Final = 3
_NEARBY: Final = 8
_MOST: Final = 20
T = TypeVar("T")


class Corrections:
    """The utterances that put something right, by what they speak of.

    Parameters
    ----------
    conversation : Conversation
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._by_concept: dict[str, list[tuple[int, Mention]]] = {}
        self._by_side: dict[str, list[tuple[int, str]]] = {}
        self._sides: dict[str, set[str]] = {}
        self._allergies: list[Mention] = []
        for heard in conversation.heard:
            if not heard.instructs:
                self._note(heard)

    def _note(self, heard: Heard) -> None:
        for mention in heard.facts.mentions:
            flags = heard.flags[mention.start]
            if mention.concept.kind is Kind.DRUG and flags & Flag.ALLERGY and not flags & (Flag.NEGATED | Flag.ASKED):
                self._allergies.append(mention)
            if heard.repairs.covers(mention.start) and mention.start not in heard.repairs.retracted:
                resolved = replace(mention, flags=flags, kin=heard.kin[mention.start])
                self._by_concept.setdefault(mention.concept.name, []).append((heard.said.number, resolved))
        for side in heard.facts.sides:
            if side.site and side.at not in heard.repairs.retracted:
                self._sides.setdefault(side.site, set()).add(side.side)
                if heard.repairs.covers(side.at):
                    self._by_side.setdefault(side.site, []).append((heard.said.number, side.side))

    def sides(self, site: str) -> frozenset[str]:
        """Return the sides that a part of the body was given anywhere in the encounter."""
        return frozenset(self._sides.get(site, ()))

    def against(self, claim: Claim, evidence: Behind) -> Iterator[Failure]:
        """Yield what later utterances say against a statement that its evidence carries."""
        yield from self._no_allergies(claim)
        last = max(evidence.utterances, default=0)
        if not last:
            return
        for mention in claim.facts.mentions:
            for number, other in _after(self._by_concept.get(mention.concept.name, []), last):
                if mention.doses and other.doses and not _share(mention, other):
                    yield Failure("dose", True)
                flipped = bool(mention.flags & Flag.NEGATED) != bool(other.flags & Flag.NEGATED)
                plainly = self._conversation[number].repairs.plainly and number - last <= _NEARBY
                if (
                    flipped
                    and plainly
                    and not other.flags & (Flag.ASKED | Flag.HYPOTHETICAL)
                    and mention.kin == other.kin
                ):
                    yield Failure("negation", True)
        for side in claim.facts.sides:
            later = [other for _, other in _after(self._by_side.get(side.site, []), last)]
            if later and side.side not in later:
                yield Failure("laterality", True)
        yield from self._soon(claim, last)

    def _soon(self, claim: Claim, last: int) -> Iterator[Failure]:
        """Hear "actually it is twenty" right after, though it does not say what is twenty."""
        for number in range(last + 1, last + 1 + _SOON):
            if number not in self._conversation or not self._conversation[number].repairs.ranges:
                continue
            heard = self._conversation[number]
            named = {one.concept.name for one in heard.facts.mentions if heard.repairs.covers(one.start)}
            if heard.instructs or named - {mention.concept.name for mention in claim.facts.mentions}:
                continue
            for quantity in claim.facts.quantities:
                alike = [
                    one
                    for one in heard.facts.quantities
                    if one.sure and one.unit in (quantity.unit, "") and heard.repairs.covers(one.start)
                ]
                if quantity.sure and alike and not any(quantity.agrees(one) for one in heard.facts.quantities):
                    yield Failure("dose" if any(one.doses for one in claim.facts.mentions) else "number", True)

    def _no_allergies(self, claim: Claim) -> Iterator[Failure]:
        """Hold "no known allergies" to the whole encounter."""
        denied = any(
            mention.concept.name == "allergy" and mention.flags & Flag.NEGATED for mention in claim.facts.mentions
        )
        named = any(mention.concept.kind is Kind.DRUG for mention in claim.facts.mentions)
        if denied and not named and self._allergies:
            yield Failure("allergy", True)


def _share(mention: Mention, other: Mention) -> bool:
    return any(dose.agrees(theirs) for dose in mention.doses for theirs in other.doses)


def _after(rows: list[tuple[int, T]], last: int) -> list[tuple[int, T]]:
    at = bisect_right(rows, last, key=lambda row: row[0])
    return rows[at : at + _MOST]
