"""How often: "bid", "twice a day", "every eight hours", each as times a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from osler.draft.facts.quantities import DOSE_UNITS, Quantity
from osler.draft.facts.words import Word

_PER_DAY: Final = {
    "day": Fraction(1),
    "daily": Fraction(1),
    "morning": Fraction(1),
    "evening": Fraction(1),
    "night": Fraction(1),
    "bedtime": Fraction(1),
    "nightly": Fraction(1),
    "week": Fraction(1, 7),
    "weekly": Fraction(1, 7),
    "month": Fraction(1, 30),
    "monthly": Fraction(1, 30),
    "hour": Fraction(24),
}
_LATIN: Final = {
    "bid": 2,
    "tid": 3,
    "qid": 4,
    "qd": 1,
    "qhs": 1,
    "qam": 1,
    "qpm": 1,
    "od": 1,
    "bd": 2,
    "tds": 3,
    "qds": 4,
}
_SPELLED_OUT: Final = {tuple(".".join(word) + "."): rate for word, rate in _LATIN.items() if len(word) == 3}
_ALONE: Final = frozenset({"daily", "nightly", "weekly", "monthly"})
_EACH: Final = frozenset({"a", "per", "each", "every", "/", "in", "the", "at"})


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a day; `start` and `end` are the words that say it."""

    per_day: Fraction
    start: int
    end: int


def read_rates(words: Sequence[Word], quantities: Sequence[Quantity]) -> tuple[Rate, ...]:
    """Return what a text says of how often, in order; linear in its length."""
    texts = [word.text for word in words]
    counts = {quantity.start: quantity for quantity in reversed(quantities)}
    doses = {quantity.end for quantity in quantities if quantity.unit in DOSE_UNITS}
    rates: list[Rate] = []
    at = 0
    while at < len(texts):
        rate = _latin(texts, at) or _counted(texts, at, counts) or _every(texts, at, counts) or _alone(texts, at, doses)
        if rate:
            rates.append(rate)
        at = rate.end if rate else at + 1
    return tuple(rates)


def _latin(texts: Sequence[str], at: int) -> Rate | None:
    text = texts[at]
    if text in _LATIN:
        return Rate(Fraction(_LATIN[text]), at, at + 1)
    spelled = _SPELLED_OUT.get(tuple(texts[at : at + 6]))
    if spelled:
        return Rate(Fraction(spelled), at, at + 6)
    hours = text[1:-1] if text[0] == "q" and text[-1] == "h" else ""
    if hours.isascii() and hours.isdigit() and 0 < int(hours[:3]) <= 48:
        return Rate(Fraction(24, int(hours[:3])), at, at + 1)
    return None


def _counted(texts: Sequence[str], at: int, counts: dict[int, Quantity]) -> Rate | None:
    """Read "three times a day", "once daily", "twice a week"."""
    count = counts.get(at)
    if count is None or count.unit or count.out_of is not None:
        return None
    place = count.end
    times = texts[at] in ("once", "twice", "thrice") or (place < len(texts) and texts[place] in ("times", "x"))
    if not times:
        return None
    while place < len(texts) and place - count.end < 3 and (texts[place] in _EACH or texts[place] in ("times", "x")):
        place += 1
    per_day = _PER_DAY.get(texts[place]) if place < len(texts) else None
    return Rate(count.value * per_day, at, place + 1) if per_day else None


def _every(texts: Sequence[str], at: int, counts: dict[int, Quantity]) -> Rate | None:
    """Read "every 8 hours", "every other day", "each morning", "at bedtime"."""
    if texts[at] not in ("every", "each", "q", "at") or at + 1 >= len(texts):
        return None
    count = counts.get(at + 1) or (counts.get(at + 2) if texts[at + 1] in ("uh", "um") else None)
    if count and count.value and count.unit in ("hour", "day", "week") and texts[at] != "at":
        per_day = {"hour": Fraction(24), "day": Fraction(1), "week": Fraction(1, 7)}[count.unit]
        return Rate(per_day / count.value, at, count.end)
    other = texts[at + 1] in ("other", "second")
    place = at + 1 + other
    if place < len(texts) and texts[place] in ("single", "the"):
        place += 1
    per = _PER_DAY.get(texts[place]) if place < len(texts) else None
    if per is None or (texts[at] == "at" and texts[place] not in ("night", "bedtime")):
        return None
    return Rate(per / (2 if other else 1), at, place + 1)


def _alone(texts: Sequence[str], at: int, doses: set[int]) -> Rate | None:
    """Read "daily", and the "a day" of "20 mg a day"."""
    if texts[at] in _ALONE:
        return Rate(_PER_DAY[texts[at]], at, at + 1)
    if at in doses and texts[at] in ("a", "per", "/") and at + 1 < len(texts) and texts[at + 1] in ("day", "week"):
        return Rate(_PER_DAY[texts[at + 1]], at, at + 2)
    return None
