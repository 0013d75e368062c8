"""Vital signs in the sentences of a note, by pattern: what is unusual, asked for or remembered gives no item.

References
----------
HL7 FHIR R4 4.0.1, Vital Signs profiles; US Core 6.1 (pulse oximetry has two codes)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from osler.domain.codes import Code
from osler.domain.note import Topic
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.items import Measure, VitalItem, of_topics

_NOT_HERE_AND_NOW: Final = re.compile(
    r"\b(?:goal|target|below|under|above|over the|less than|greater than|at least|at most|up to|between|home|previous"
    r"(?:ly)?|prior|last|yesterday|ago|usually|normally|baseline|if|would|should|typical(?:ly)?|average[sd]?|"
    r"runs?|running|range[sd]?|ranging|used to|lost|gain(?:ed)?|dropp?ed|increase[ds]?|decrease[ds]?|ideal|dry|birth|"
    r"mother|father|brother|sister|wife|husband|son|daughter|not|unable|refused)\b",
    re.IGNORECASE,
)
_IS: Final = r"\s*(?:(?:is|was|of|at|reads?|measured|today|currently|[:=,])\s*){0,3}"
_ALONE: Final = r"(?![\d.]*\d|['’]?s\b|\s*(?:-|–|to)\s*\d)"
"""Behind a figure that is neither part of another nor of a range, nor stands for a decade (70s)."""
_NUMBER: Final = rf"(\d{{1,3}}(?:\.\d{{1,2}})?){_ALONE}"
_PRESSURE: Final = re.compile(
    rf"\b(?:blood pressure|bp){_IS}(\d{{2,3}})\s*(?:/|over)\s*(\d{{2,3}}){_ALONE}", re.IGNORECASE
)

_UNITS: Final = {
    "f": ("°F", "[degF]"),
    "fahrenheit": ("°F", "[degF]"),
    "c": ("°C", "Cel"),
    "celsius": ("°C", "Cel"),
    "kg": ("kg", "kg"),
    "kilograms": ("kg", "kg"),
    "kilos": ("kg", "kg"),
    "lb": ("lb", "[lb_av]"),
    "lbs": ("lb", "[lb_av]"),
    "pounds": ("lb", "[lb_av]"),
    "cm": ("cm", "cm"),
    "centimeters": ("cm", "cm"),
    "in": ("in", "[in_i]"),
    "inches": ("in", "[in_i]"),
}


@dataclass(frozen=True, slots=True)
class _Sign:
    """A vital sign of one figure.

    Parameters
    ----------
    codes : tuple of Code
    pattern : re.Pattern
        Group 1 is the figure, group 2 the unit where one may follow.
    bounds : mapping
        Unit, or unit that the figure has without one, to the lowest and highest figure that is believed.
    """

    codes: tuple[Code, ...]
    pattern: re.Pattern[str]
    bounds: dict[tuple[str, str], tuple[int, int]]


def _pattern(names: str, units: str = "") -> re.Pattern[str]:
    return re.compile(rf"\b(?:{names}){_IS}{_NUMBER}{units}", re.IGNORECASE)


_PER_MINUTE: Final = ("/min", "/min")
_SIGNS: Final = (
    _Sign(
        (Code("8867-4", "LN", "Heart rate"),),
        _pattern(r"heart rate|pulse(?: rate)?|(?<!\d )hr"),
        {_PER_MINUTE: (25, 250)},
    ),
    _Sign(
        (Code("9279-1", "LN", "Respiratory rate"),),
        _pattern(r"respiratory rate|respirations?|resp(?:iration)? rate|rr"),
        {_PER_MINUTE: (5, 70)},
    ),
    _Sign(
        (Code("59408-5", "LN", "Oxygen saturation in Arterial blood by Pulse oximetry"),
         Code("2708-6", "LN", "Oxygen saturation in Arterial blood")),
        _pattern(
            r"(?:oxygen|o2) (?:saturations?|sats?)|pulse ox(?:imetry)?|sp ?o2|saturation|sats?", r"\s*(?:%|percent)"
        ),
        {("%", "%"): (50, 100)},
    ),
    _Sign(
        (Code("8310-5", "LN", "Body temperature"),),
        _pattern(r"temperature|temp", r"(?:\s*(?:degrees?|°)?\s*(fahrenheit|celsius|f|c)\b)?"),
        {("°F", "[degF]"): (90, 110), ("°C", "Cel"): (32, 43)},
    ),
    _Sign(
        (Code("29463-7", "LN", "Body weight"),),
        _pattern(r"weight|weighs|wt", r"\s*(kg|kilograms|kilos|lbs?|pounds)\b"),
        {("kg", "kg"): (1, 350), ("lb", "[lb_av]"): (2, 800)},
    ),
    _Sign(
        (Code("8302-2", "LN", "Body height"),),
        _pattern(r"height|ht", r"\s*(cm|centimeters|in|inches)\b"),
        {("cm", "cm"): (40, 250), ("in", "[in_i]"): (16, 98)},
    ),
)  # fmt: skip


def vital_signs(note: IdentifiedNote) -> tuple[VitalItem, ...]:
    """Return the vital signs of a note that were measured in the encounter, the first figure of each kind.

    Only sentences of the topics vitals and examination are read. A figure without a unit is taken only where one unit
    alone is possible.
    """
    found: dict[tuple[Code, ...], VitalItem] = {}
    for statement, text in of_topics(note, Topic.VITALS, Topic.EXAM):
        for clause in _clauses(text):
            for read in _READERS:
                item = read(statement, clause)
                if item is not None:
                    found.setdefault(item.codes, item)
    return tuple(found.values())


def _clauses(text: str) -> list[str]:
    """Return the parts of a text that say what is so here and now."""
    parts = re.split(r"[;\n]|(?<=[^\d])[.,](?=\s)|(?<=\d)[.,](?=\s+[A-Za-z])|\band\b", text)
    return [] if _NOT_HERE_AND_NOW.search(text) else parts


def _pressure(statement: str, clause: str) -> VitalItem | None:
    match = _PRESSURE.search(clause)
    if match is None:
        return None
    high, low = int(match[1]), int(match[2])
    if not (50 <= high <= 280 and 20 <= low <= 180 and low < high):
        return None
    pairs = (("8480-6", "Systolic blood pressure", match[1]), ("8462-4", "Diastolic blood pressure", match[2]))
    panel = Code("85354-9", "LN", "Blood pressure panel with all children optional")
    measures = tuple(Measure(Code(code, "LN", name), value, "mmHg", "mm[Hg]") for code, name, value in pairs)
    return VitalItem(statement, (panel,), measures)


def _reader(sign: _Sign) -> Callable[[str, str], VitalItem | None]:
    def read(statement: str, clause: str) -> VitalItem | None:
        match = sign.pattern.search(clause)
        if match is None:
            return None
        said = match[2] if match.re.groups > 1 else None
        unit = _UNITS[said.lower()] if said else _only_unit(sign, Decimal(match[1]))
        if unit not in sign.bounds or not sign.bounds[unit][0] <= Decimal(match[1]) <= sign.bounds[unit][1]:
            return None
        return VitalItem(statement, sign.codes, (Measure(sign.codes[0], match[1], *unit),))

    return read


def _only_unit(sign: _Sign, value: Decimal) -> tuple[str, str] | None:
    fitting = [unit for unit, (low, high) in sign.bounds.items() if low <= value <= high]
    return fitting[0] if len(fitting) == 1 else None


_READERS: Final = (_pressure, *map(_reader, _SIGNS))
