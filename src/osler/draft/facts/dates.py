"""Days of the calendar: "March 3rd, 2020", "3 March", "03/15/2020", "2020-03-15", "October of 2020"."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from osler.draft.facts.quantities import ORDINAL, Quantity
from osler.draft.facts.tables import table
from osler.draft.facts.words import Word

_SEPARATORS: Final = frozenset("/-")
_YEARS: Final = range(1900, 2100)


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    names = table()["months"].split()
    short = {name[:3]: number for number, name in enumerate(names, start=1) if name != "may"}
    return {**{name: number for number, name in enumerate(names, start=1)}, **short, "sept": 9}


@dataclass(frozen=True, slots=True)
class Day:
    """A date as far as it was said; zero for a part that was not. `start` and `end` are words."""

    year: int
    month: int
    day: int
    start: int
    end: int

    def agrees(self, other: "Day") -> bool:
        """Whether no part that both say differs, and both say some part in common."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        shared = [mine == theirs for mine, theirs in pairs if mine and theirs]
        return bool(shared) and all(shared)


def read_days(words: Sequence[Word], quantities: Sequence[Quantity]) -> tuple[Day, ...]:
    """Return the dates of a text in order; linear in its length."""
    texts = [word.text for word in words]
    starting: dict[int, Quantity] = {}
    ending: dict[int, Quantity] = {}
    for quantity in quantities:
        if quantity.out_of is None and quantity.value.denominator == 1 and quantity.unit in ("", ORDINAL):
            starting.setdefault(quantity.start, quantity)
            ending.setdefault(quantity.end, quantity)
    days: list[Day] = []
    at = 0
    while at < len(texts):
        found = _named(texts, at, starting, ending) or _numeric(texts, at)
        if found:
            days.append(found)
        at = found.end if found else at + 1
    return tuple(days)


def _named(texts: Sequence[str], at: int, starting: dict[int, Quantity], ending: dict[int, Quantity]) -> Day | None:
    month = _months().get(texts[at])
    if not month:
        return None
    start, end, day, year = at, at + 1, 0, 0
    before = ending.get(at)
    if before and 1 <= before.value <= 31:
        start, day = before.start, int(before.value)
    for _ in range(2):
        place = end
        while place < len(texts) and place - end < 2 and texts[place] in (",", "of", "the", "'", "’"):
            place += 1
        after = starting.get(place)
        if after and not day and 1 <= after.value <= 31:
            day, end = int(after.value), after.end
        elif after and not year and (int(after.value) in _YEARS or _is_short_year(texts, place, after)):
            year, end = int(after.value) + (2000 if after.value < 100 else 0), after.end
    return Day(year, month, day, start, end) if day or year or texts[at] not in ("may", "march", "mar", "dec") else None


def _is_short_year(texts: Sequence[str], place: int, number: Quantity) -> bool:
    return texts[place - 1] in ("'", "’") and number.value < 100


def _numeric(texts: Sequence[str], at: int) -> Day | None:
    parts = list(texts[at : at + 5])
    if len(parts) == 5 and parts[1] == parts[3] and parts[1] in _SEPARATORS and all(map(_short, parts[::2])):
        first, second, third = (int(part) for part in parts[::2])
        if first in _YEARS:
            return _day(first, second, third, at, at + 5)
        return _day(third if third > 99 else third + 2000 - 100 * (third > 40), first, second, at, at + 5)
    if len(parts) >= 3 and parts[1] == "/" and _short(parts[0]) and _short(parts[2]) and int(parts[2]) in _YEARS:
        return _day(int(parts[2]), int(parts[0]), 0, at, at + 3)
    return None


def _short(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _day(year: int, month: int, day: int, start: int, end: int) -> Day | None:
    return Day(year, month, day, start, end) if 1 <= month <= 12 and 0 <= day <= 31 else None
