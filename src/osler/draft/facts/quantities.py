"""Numbers as speech and notes write them, with their units: "one twenty over eighty" is 120/80, "two weeks" 14 days."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from osler.draft.facts.spelled import ARTICLES, HALVES, SUFFIXES, digits, ordinals, spelled
from osler.draft.facts.tables import listed
from osler.draft.facts.words import Word, stem

_DAY: Final = {"second": Fraction(1, 86400), "minute": Fraction(1, 1440), "hour": Fraction(1, 24), "day": Fraction(1)}
_DAYS: Final = {**_DAY, "week": Fraction(7), "month": Fraction(30), "year": Fraction(365)}
_MASS_MG: Final = {"mcg": Fraction(1, 1000), "mg": Fraction(1), "g": Fraction(1000)}
_LENGTH_CM: Final = {"mm": Fraction(1, 10), "cm": Fraction(1), "inch": Fraction(254, 100), "foot": Fraction(3048, 100)}
_SCALES: Final = (_DAYS, _MASS_MG, _LENGTH_CM)
_UNIT_NAMES: Final = {
    "second": "second seconds sec secs",
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs",
    "day": "day days",
    "week": "week weeks wk wks",
    "month": "month months",
    "year": "year years yr yrs yo",
    "mg": "mg mgs milligram milligrams",
    "mcg": "mcg mcgs microgram micrograms ug",
    "g": "gram grams gm",
    "ml": "ml mls milliliter milliliters millilitre cc ccs",
    "unit": "unit units iu",
    "tablet": "tablet tablets pill pills tab tabs capsule capsules caplet caplets",
    "puff": "puff puffs",
    "drop": "drop drops",
    "percent": "% percent",
    "lb": "lb lbs pound pounds",
    "kg": "kg kgs kilo kilos kilogram kilograms",
    "cm": "cm cms centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre",
    "inch": "inch inches",
    "foot": "ft",
    "degree": "degree degrees",
    "mmhg": "mmhg",
    "bpm": "bpm",
    "plus": "+ plus",
    "pack": "pack packs",
    "beer": "beer beers drink drinks",
}
_UNITS: Final = {name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()}
_BRITISH: Final = {Fraction(7): "day", Fraction(52): "week", Fraction(12): "month"}
_OVER: Final = (["/"], ["over"], ["out", "of"])
_TO: Final = frozenset({"-", "–", "to", "or"})
DOSE_UNITS: Final = frozenset({"mg", "mcg", "g", "ml", "unit", "tablet", "puff", "drop", "percent"})
ORDINAL: Final = "ordinal"
_TENTHS: Final = range(10)
_TOLERANCE: Final = Fraction(3, 100)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what it counts.

    Parameters
    ----------
    value : Fraction
    unit : str
        Singular, as ``week``; ``ordinal`` of "third"; empty when none stands beside it.
    start, end : int
        Words that make it, end exclusive.
    out_of : Fraction or None
        The other half of a pair such as 120/80 or 3/6.
    sure : bool
        False for what may be no number at all ("one of the antibodies") or only one reading of several.
    noun : str
        Stem of the word after a number without a unit: what it may count.
    """

    value: Fraction
    unit: str
    start: int
    end: int
    out_of: Fraction | None = None
    sure: bool = True
    noun: str = ""

    def agrees(self, other: "Quantity") -> bool:
        """Whether both say the same; units are converted, and a missing unit agrees with any."""
        if self.out_of is not None and other.out_of is not None:
            return (self.value, self.out_of) == (other.value, other.out_of)
        if (self.unit == ORDINAL) != (other.unit == ORDINAL):
            return False
        if self.out_of in _BRITISH and other.unit in _DAYS:
            return replace(self, unit=_BRITISH[self.out_of], out_of=None).agrees(other)
        if (self.out_of is None) != (other.out_of is None):
            return False
        if not self.unit or not other.unit or self.unit == other.unit:
            return self.value == other.value
        for scale in _SCALES:
            if self.unit in scale and other.unit in scale:
                mine, theirs = self.value * scale[self.unit], other.value * scale[other.unit]
                slack = _TOLERANCE * max(mine, theirs) if scale is _DAYS else 0
                return abs(mine - theirs) <= slack
        return False

    def shares_scale(self, other: "Quantity") -> bool:
        """Whether both have units that can be compared."""
        if not self.unit or not other.unit:
            return False
        return self.unit == other.unit or any(self.unit in scale and other.unit in scale for scale in _SCALES)


def read_quantities(words: Sequence[Word]) -> tuple[Quantity, ...]:
    """Return the numbers of a text in order; linear in its length."""
    texts = [word.text for word in words]
    found: list[list[Quantity]] = []
    at = 0
    while at < len(texts):
        here = _number(texts, at)
        if not here:
            at += 1
            continue
        bare = here[0].end
        here = _with_units(texts, here)
        at = here[0].end
        if here[0].unit or texts[here[0].start] not in ARTICLES or bare > here[0].start + 1:
            found.append(here)
    return tuple(_counting(texts, one) for readings in _joined(texts, found) for one in readings)


def _counting(texts: Sequence[str], quantity: Quantity) -> Quantity:
    noun = _noun(texts, quantity)
    return replace(quantity, noun=noun) if noun else quantity


def _noun(texts: Sequence[str], quantity: Quantity) -> str:
    following = texts[quantity.end] if quantity.end < len(texts) else ""
    counts = not quantity.unit and following.isalpha() and following not in listed("no_nouns")
    return stem(following) if counts else ""


def _number(texts: Sequence[str], at: int) -> list[Quantity]:
    first = digits(texts, at)
    if first is not None:
        value, end = first
        return [Quantity(value, ORDINAL if texts[end - 1] in SUFFIXES else "", at, end)]
    text = texts[at]
    if text[0] == "x" and text[1:].isascii() and text[1:].isdigit() and len(text) < 5:
        return [Quantity(Fraction(int(text[1:])), "", at, at + 1)]
    if text in HALVES and (at + 1 == len(texts) or texts[at + 1] != "of"):
        return [Quantity(HALVES[text], "", at, at + 1, sure=False)]
    if text in ordinals():
        return [Quantity(Fraction(ordinals()[text]), ORDINAL, at, at + 1, sure=False)]
    readings, end, sure = spelled(texts, at)
    return [Quantity(value, "", at, end, sure=sure and place == 0) for place, value in enumerate(readings)]


def _with_units(texts: Sequence[str], readings: list[Quantity]) -> list[Quantity]:
    if readings[0].unit == ORDINAL:
        return readings
    end = readings[0].end
    joint = end < len(texts) and (texts[end] == "-" or (texts[end - 1] in HALVES and texts[end] in ARTICLES))
    place = end + 1 if joint else end
    unit = _UNITS.get(texts[place], "") if place < len(texts) else ""
    if not unit:
        half = Fraction(1, 2) if list(texts[end : end + 3]) == ["and", "a", "half"] else 0
        place = end + 3
        unit = _UNITS.get(texts[place], "") if half and place < len(texts) else ""
        if not half:
            return readings
        return [replace(one, value=one.value + half, unit=unit, end=place + bool(unit)) for one in readings]
    half = Fraction(1, 2) if list(texts[place + 1 : place + 4]) == ["and", "a", "half"] else 0
    end = place + (4 if half else 1)
    spoken = texts[readings[0].start] == "one"
    return [replace(one, value=one.value + half, unit=unit, end=end, sure=one.sure or spoken) for one in readings]


def _joined(texts: Sequence[str], found: list[list[Quantity]]) -> list[list[Quantity]]:
    """Make pairs of "120 / 80", give the first of "3 to 5 days" its unit, and read "98 . 4" as 98.4 too."""
    out: list[list[Quantity]] = []
    for readings in found:
        here = readings[0]
        before = out[-1][0] if out else None
        between = list(texts[before.end : here.start]) if before and here.start - before.end <= 2 else []
        if before and before.out_of is None and between in _OVER:
            pair = Quantity(before.value, here.unit, before.start, here.end, out_of=here.value)
            out[-1] = [pair, *(replace(one, sure=False) if one.sure else one for one in (*out[-1], *readings))]
            continue
        if before and between == ["."] and here.value in _TENTHS:
            whole = [one for one in out[-1] if one.value.denominator == 1]
            out[-1] += [
                Quantity(one.value + here.value / 10, here.unit, one.start, here.end, sure=False) for one in whole
            ]
        if before and len(between) == 1 and between[0] in _TO and not before.unit and here.unit:
            out[-1] = [replace(one, unit=here.unit) for one in out[-1]]
        out.append(readings)
    return out


def unit_of(word: str) -> str:
    """Return the unit that a word names, empty when it names none."""
    return _UNITS.get(word, "")
