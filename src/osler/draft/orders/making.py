"""From a cue and what follows it to orders: what it names, with the details that stand beside each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from osler.domain.orders import Order, OrderAction, OrderKind
from osler.draft.orders import details
from osler.draft.orders.clauses import BREAK, ahead, condition_behind, first_when, without_sooner
from osler.draft.orders.cues import Cue
from osler.draft.orders.merging import Found
from osler.draft.orders.targets import Target, targets

_LOOSE: Final = re.compile(r"^[\s,]*(?:for\s+)?(?:(?:it|this|that|them|these)\b)", re.IGNORECASE)
_WITH: Final = re.compile(
    r"^\s*(?:up\s+)?with\s+(?!(?:me|us|him|her|them|you|the\s+patient|patient|that|this|it|(?:the\s+|"
    r"your\s+)?(?:\w+\s+)?(?:results?|labs?|imaging|tests?))\b)((?:the\s+|your\s+|his\s+|her\s+|"
    r"their\s+|a\s+)?[\w. -]{2,40}?)(?=\s+(?:in|within|next|for|about|after|to|and|regarding|as|on|"
    r"if)\b|[.,;]|$)",
    re.IGNORECASE,
)
_NO_VISIT: Final = re.compile(
    r"^\s*(?:on\b|(?:x-?rays?|labs?|imaging|mri|ct|echo\w*|tests?|on)\b|to\s+(?:normal|work|sports?|"
    r"school|baseline|activit\w+|his|her|their|the\s+gym))",
    re.IGNORECASE,
)
_ABOUT: Final = re.compile(
    r"\b(?:information|materials?|handouts?|instructions?|education\w*|exercises|paperwork|options?|"
    r"list|results?|copy|questions?)\b",
    re.IGNORECASE,
)
_THERAPIES: Final = ("therap", "rehab", "counsel")
_WHOSE: Final = re.compile(r"\bof\s+(?:the|your|his|her|their|this|that)\s+$", re.IGNORECASE)
_LOOKED_AT: Final = re.compile(r"(?:re)?check|draw")
_ASKED: Final = re.compile(r"consult|referral|evaluation|appointment", re.IGNORECASE)
_IMAGE: Final = re.compile(r"\s*(?:[\w-]+\s+){0,2}(?:x-?ray|labs?|mri|ct|imaging)", re.IGNORECASE)
_VISIT_ENDS: Final = re.compile(r"[.;?]|\b(?:and|so|but)\s+(?:if|we|i|they|she|he|the)\b", re.IGNORECASE)
_LISTS: Final = re.compile(r"[\s,]*(?:(?:and|also|an?|the)[\s,]+)*", re.IGNORECASE)
_AMOUNT: Final = re.compile(rf"({details.DOSE.pattern})\s+(?:of\s+)?(?:the\s+)?$", re.IGNORECASE)
_REFILL: Final = re.compile(r"\brefills?\b", re.IGNORECASE)
_BESIDE_SURGERY: Final = re.compile(r"\s*(?:before|after)\b", re.IGNORECASE)
_REFERRAL: Final = frozenset({OrderKind.REFERRAL})


@dataclass(frozen=True, slots=True)
class Clause:
    """A cue in its sentence.

    Parameters
    ----------
    statement, words : str
        Id and text of the statement.
    cue : Cue
    text : str
        As much of the sentence as says what is ordered.
    reach : str
        What follows the cue, up to the next one.
    context : str
        What stands before it.
    condition : str
        That stands before it.
    """

    statement: str
    words: str
    cue: Cue
    text: str
    reach: str
    context: str
    condition: str

    def order(self, kind: OrderKind, name: str, **more: Any) -> Order:
        """Return an order of this clause."""
        condition = self.condition or condition_behind(self.reach)
        made = Order(kind, OrderAction.ORDER, name, (self.statement,), self.words, condition=condition)
        return replace(made, **more)


def named(clause: Clause) -> Iterator[Found]:
    """Yield the orders of what a clause names."""
    text, cue = clause.text, clause.cue
    every = targets(text)
    if _LOOKED_AT.match(cue.verb):  # "recheck iron and B12" is of the blood
        every = tuple(replace(t, kind=OrderKind.LABORATORY) if t.kind is OrderKind.MEDICATION else t for t in every)
    found = _apart([one for one in every if _fits(cue, one, text)], text)
    if not found:
        yield from _meant(clause)
        return
    tail = clause.reach[len(text) :] if clause.reach.startswith(text) else clause.reach
    starts, ends = [0, *(one.end for one in found[:-1])], [*(one.start for one in found[1:]), len(text)]
    made: list[Found] = []
    for one, start, end in zip(found, starts, ends, strict=True):
        piece, rest = text[one.end : end], tail if one is found[-1] else ""
        if one.kind is OrderKind.MEDICATION:
            made.append(medication(clause, one, piece, before=text[start : one.start], tail=rest))
        else:
            when = first_when(piece + rest) or ahead(clause.context)
            made.append(_other(clause, one, when))
    yield from _shared(made, found, text)


def _apart(found: list[Target], text: str) -> list[Target]:
    """Leave out what is taken back, and a specialist that is another word for the one before."""
    kept: list[Target] = []
    for one in found:
        same = kept and one.kind is kept[-1].kind is OrderKind.REFERRAL
        if kept and one.kind is kept[-1].kind and BREAK in text[kept[-1].end : one.start]:
            kept[-1] = one
        elif not (same and not re.search(r"\band\b|\bor\b|,", text[kept[-1].end : one.start])):
            kept.append(one)
    return kept


def _meant(clause: Clause) -> Iterator[Found]:
    """Read "it" as the one thing of the sentence that the verb can order."""
    if not _LOOSE.match(clause.text):
        return
    kinds = clause.cue.kinds - _REFERRAL
    meant = {one.concept: one for one in targets(clause.context) if one.kind in kinds}
    if len(meant) == 1:
        (one,) = meant.values()
        drug = one.kind is OrderKind.MEDICATION
        yield medication(clause, one, clause.text) if drug else _other(clause, one, first_when(clause.text))


def _shared(made: list[Found], found: list[Target], text: str) -> Iterator[Found]:
    """Give what ends a list to all of it: "CBC and CMP in 2 weeks"."""
    when = ""
    for number in reversed(range(len(made))):
        order = made[number].order
        last = number + 1 == len(found)
        joined = not last and _LISTS.fullmatch(text, found[number].end, found[number + 1].start)
        when = order.when or (when if joined else "")
        if when and not order.when and order.kind is not OrderKind.MEDICATION:
            made[number] = replace(made[number], order=replace(order, when=when))
    yield from made


def _fits(cue: Cue, one: Target, text: str) -> bool:
    """Whether a verb can order a thing: drugs are not drawn, and specialists are not prescribed."""
    before = text[: one.start]
    if _ABOUT.search(before):
        return False
    if one.kind is OrderKind.MEDICATION:
        if cue.verb.split()[0] in ("do", "doing"):
            return bool(details.DOSE.match(text[one.end :].lstrip(" ,")))
        return OrderKind.MEDICATION in cue.kinds
    if one.kind in (OrderKind.PROCEDURE, OrderKind.REFERRAL) and _WHOSE.search(before):
        return False
    if one.kind is not OrderKind.REFERRAL:
        return one.kind in cue.kinds
    if cue.verb == "see" and not cue.told:
        return False
    if _is_done(one, cue) or cue.kinds == _REFERRAL:
        return True
    return OrderKind.REFERRAL in cue.kinds and bool(_ASKED.search(text[: one.end]))


def _is_done(one: Target, cue: Cue) -> bool:
    """Whether a specialty is what is done, and not to whom somebody is sent: therapy, surgery."""
    done = one.concept == "surgery" or any(part in one.concept for part in _THERAPIES)
    return done and OrderKind.PROCEDURE in cue.kinds


def _other(clause: Clause, one: Target, when: str) -> Found:
    kind = OrderKind.PROCEDURE if one.kind is OrderKind.REFERRAL and _is_done(one, clause.cue) else one.kind
    return Found(clause.order(kind, one.name, side=one.side, when=when), one.concept)


def medication(clause: Clause, drug: Target, piece: str, *, before: str = "", tail: str = "") -> Found:
    """Return the order of a drug.

    Parameters
    ----------
    clause : Clause
    drug : Target
    piece : str
        What stands behind it and says how it is taken.
    before : str
        What stands before it: "2 puffs of".
    tail : str
        What follows in the sentence and is no part of the order.
    """
    piece = piece.rpartition(BREAK)[2]
    timed, amount = details.DURATION.sub(" ", piece), _AMOUNT.search(before)
    action = clause.cue.action
    if action is OrderAction.ORDER and _REFILL.search(before):
        action = OrderAction.REFILL
    dose = " ".join(amount[1].split()) if amount else details.dose_of(piece)
    later = details.FREQUENCY.sub(" ", timed) + (tail if _BESIDE_SURGERY.match(tail) else "")
    when = details.first(details.WHEN, later) or ahead(clause.context)
    made = clause.order(
        OrderKind.MEDICATION,
        drug.name,
        dose="" if action is OrderAction.STOP else dose,
        route=details.first(details.ROUTE, piece),
        frequency=details.first(details.FREQUENCY, timed),
        duration=details.first(details.DURATION, piece),
        when="" if when.lower().startswith("for ") else when,  # "ice it for 20 minutes"
    )
    return Found(replace(made, action=action, as_needed=bool(details.AS_NEEDED.search(piece))), drug.concept)


def follow_up(clause: Clause) -> Iterator[Found]:
    """Yield the visit of a clause; "come back if it gets worse" is advice and no visit."""
    verb, rest = clause.cue.verb, without_sooner(clause.reach)
    if _NO_VISIT.match(rest) or _IMAGE.match(rest.split(",")[0]):
        return
    stop = _VISIT_ENDS.search(rest)
    near = rest[: stop.start()] if stop else rest
    inside = verb.split()[-1] if verb.split()[-1] in ("in", "at", "next", "for") else ""
    when = first_when(inside + near) or ahead(clause.context)
    visit, partner = "appointment" in verb or "visit" in verb, _WITH.match(near)
    made = replace(clause, reach=near).order(OrderKind.FOLLOW_UP, "visit" if visit else "follow-up", when=when)
    if not when and (not (partner or visit) or made.condition):
        return
    if visit and "follow" in verb:
        made = replace(made, name="follow-up visit")
    whom = " ".join(partner[1].split()) if partner else ""
    yield Found(replace(made, name=f"{made.name} with {whom}") if whom else made, whom.lower())
