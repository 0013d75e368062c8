"""Values whose place tells their kind: columns under a header, and the fields of HL7 v2 segments inside free text."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category, Span

_COLUMNS: Final = (
    (
        Category.MRN,
        r"mrn|pt[ _]?id|patient[ _]?(?:id|no|number)|(?:med(?:ical)?[ _]?)?rec(?:ord)?(?:[ _]?(?:no|number))?",
    ),
    (
        Category.NAME,
        r"(?:pt|patient|full|last|first|given|middle|family|maiden)?[ _]?names?|last|first|surname|given|family|patient"
        r"|pt|(?:attending|provider|physician|doctor|surgeon|nurse|pcp|rn|contact|guarantor|mother|father|resident"
        r"|staff"
        r"|therapist|tech|clinician|spouse|next of kin)(?:[ _]?name)?",
    ),
    (
        Category.DATE,
        r"dob|d\.o\.b\.?|birth[ _]?da(?:te|y)|date of birth|date|(?:adm(?:it|ission)?|disch(?:arge)?|visit|service"
        r"|death"
        r"|collected|collection|result|order|procedure|surgery|listed|due|start|end)[ _]?date|admit(?:ted)?|discharged"
        r"|dos|doa|dod|seen|collected|resulted",
    ),
    (
        Category.LOCATION,
        r"unit|room|rm|bed|loc(?:ation)?|dept|ward|pharmacy|neighbou?rhood|school name|employer name"
        r"|work(?:place)?|site|birth ?place|snf|residence|zip(?:[ _]?code)?|post(?:al)?[ _]?code|city|town"
        r"|address|addr|street|county|hospital|facility|school"
        r"|employer",
    ),
    (
        Category.PHONE,
        r"(?:home|cell|mobile|work)?[ _]?(?:phone|tel(?:ephone)?|cell|mobile)(?:[ _]?(?:no|number))?|pager",
    ),
    (Category.FAX, r"fax(?:[ _]?(?:no|number))?"),
    (Category.EMAIL, r"e-?mail(?:[ _]?address)?"),
    (Category.SSN, r"ssn|ss#|social(?:[ _]security)?(?:[ _]?(?:no|number))?"),
    (
        Category.HEALTH_PLAN,
        r"(?:policy|member|subscriber|insurance|plan)[ _]?(?:id|no|number|#)|policy|mbi|subscriber"
        r"|group[ _]?(?:id|no|number|#)|grp|medicaid(?:[ _]?id)?|medicare(?:[ _]?id)?",
    ),
    (Category.ACCOUNT, r"(?:acct|account|csn|encounter|visit)[ _]?(?:id|no|number|#)?"),
    (Category.VEHICLE, r"(?:license[ _]?)?plate(?:[ _]?(?:no|number|#))?|tag(?:[ _]?(?:no|number|#))?|vin"),
    (Category.BIOMETRIC, r"(?:finger|voice|palm)[ _]?print(?:[ _]?id)?|biometric(?:[ _]?(?:id|template))?|iris[ _]?id"),
    (Category.LICENSE, r"(?:dl|lic)(?:[ _]?(?:no|number|#))?|licen[cs]e(?:[ _]?(?:no|number))?|npi|dea"),
    (Category.DEVICE, r"serial(?:[ _]?(?:no|number))?|sn|s/n|udi|device[ _]?id"),
    (
        Category.OTHER_ID,
        r"id|acc(?:ession|n)?|case(?:[ _]?(?:id|no|number))?|specimen(?:[ _]?(?:id|no))?|order[ _]?(?:id|no)",
    ),
    (Category.AGE, r"age"),
)
_KINDS: Final = tuple((category, re.compile(pattern)) for category, pattern in _COLUMNS)
_CLEAR: Final = frozenset(
    {
        "visit",
        "order",
        "case",
        "last",
        "first",
        "pt",
        "id",
        "age",
        "date",
        "seen",
        "unit",
        "room",
        "bed",
        "location",
        "site",
        "tag",
        "work",
        "loc",
    }
)
"""Headers that are ordinary words: a row of such words alone is no header."""
_GAPS: Final = tuple(re.compile(gap) for gap in (r"[ ]*\|[ ]*", r"\t", r"[ ]*;[ ]*", r"[ ]*,[ ]*", r"[ ]{2,}"))
_LINE: Final = re.compile(r"[^\n]+")
_EMPTY: Final = re.compile(r"(?:n/?a|none|unk(?:nown)?|no|yes|nil|tbd|pending|null)?[\W_]*")
_OLD: Final = re.compile(r"(?:9\d|1[0-3]\d)(?: ?(?:y/?o?|yrs?|years?)?[mf]?)?")
_VALUE: Final = re.compile(r"^\d+$|\d[\d\-/.]*\d")
"""What no header holds."""

_SLASHED: Final = re.compile(
    r"(?<![\w/])(?P<labels>[a-z][a-z .#]{1,18}(?:/[a-z][a-z .#]{1,18}){1,4})[ \t]{0,4}:[ \t]{1,4}"
    r"(?P<values>[^/\n:]{2,40}(?: ?/ ?[^/\n:]{2,40}){1,4})(?=\n|$)"
)
"""Labels and values that slashes part."""

_LONGEST: Final = 1000
_MOST_CELLS: Final = 60

_P, _N, _D, _L = Category.PHONE, Category.NAME, Category.DATE, Category.LOCATION
_SEGMENTS: Final[dict[str, dict[int, Category]]] = {
    "pid": {
        **dict.fromkeys((2, 3, 4), Category.MRN),
        **dict.fromkeys((5, 6, 9), _N),
        **dict.fromkeys((7, 29), _D),
        **dict.fromkeys((11, 23), _L),
        **dict.fromkeys((13, 14), _P),
        18: Category.ACCOUNT,
        19: Category.SSN,
        20: Category.LICENSE,
        21: Category.MRN,
    },
    "nk1": {2: _N, 4: _L, 5: _P, 6: _P, 16: _D, 30: _N, 31: _P, 32: _L, 37: Category.SSN},
    "gt1": {2: Category.ACCOUNT, 3: _N, 4: _N, 5: _L, 6: _P, 7: _P, 8: _D, 12: Category.SSN},
    "in1": {
        5: _L,
        7: _P,
        **dict.fromkeys((8, 36, 49), Category.HEALTH_PLAN),
        **dict.fromkeys((12, 13, 18), _D),
        16: _N,
        19: _L,
    },
    "msh": {3: _L, 5: _L, 6: _D, 9: Category.OTHER_ID},
    "evn": {2: _D, 5: _N, 6: _D},
    "pd1": {3: _L, 4: _N},
    "in2": {1: Category.SSN, 2: Category.SSN, 6: Category.HEALTH_PLAN, 8: Category.HEALTH_PLAN},
    "pv1": {3: _L, 6: _L, 7: _N, 8: _N, 9: _N, 17: _N, 19: Category.ACCOUNT, 44: _D, 45: _D, 52: _N},
    "orc": {2: Category.OTHER_ID, 3: Category.OTHER_ID, 9: _D, 10: _N, 11: _N, 12: _N, 15: _D},
    "obr": {2: Category.OTHER_ID, 3: Category.OTHER_ID, **dict.fromkeys((6, 7, 8, 14, 22), _D), 10: _N, 16: _N},
    "obx": {14: _D, 16: _N},
}
"""HL7 v2.5.1 chapters 3, 4, 6, 7: the fields of a segment that tell of a person."""
_SEGMENT: Final = re.compile(rf"(?<![\w|])({'|'.join(_SEGMENTS)})\|[^\n]{{4,4000}}")
_KEPT_PARTS: Final = (3, 5, 6)
"""Components of XAD that may stay or are codes: state, country, address type (HL7 v2.5.1 2.A.83)."""
_NAME_PARTS: Final = 4
_DIGITS: Final = re.compile(r"\+?\d[\d() .\-]{2,18}\d(?:\^\d{3,8})?")
"""Numbers in the components of XTN: the whole of it, or area code and local number (HL7 v2.5.1 2.A.89)."""


class Tables:
    """Finds identifiers by the column or the field in which they stand."""

    def spans(self, document: Document) -> Iterator[Span]:
        """Return values under known headers, and fields of HL7 v2 segments."""
        lower = document.shadow.lower
        if "\n" in lower:
            yield from _columns(lower)
        for slashed in _SLASHED.finditer(lower):
            yield from _slashed(slashed)
        if "|" in lower:
            for segment in _SEGMENT.finditer(lower):
                yield from _fields(segment)


def _slashed(match: re.Match[str]) -> Iterator[Span]:
    """Return the values of "Name/MRN/Acc: A / B / C"."""
    kinds = [_kind(label.strip()) or _kind(label.split()[-1]) for label in match["labels"].split("/") if label.strip()]
    values = list(re.finditer(r"[^/\s][^/]*", match["values"]))
    if len(kinds) != len(values) or None in kinds[:1]:
        return
    for kind, value in zip(kinds, values, strict=True):
        if kind is not None and kind is not Category.AGE and not _EMPTY.fullmatch(value[0]):
            start = match.start("values") + value.start()
            yield Span(start, start + len(value[0].rstrip()), kind, 0.94, "column")


def _columns(lower: str) -> Iterator[Span]:
    gap: re.Pattern[str] | None = None
    kinds: list[Category | None] = []
    for line in _LINE.finditer(lower):
        header = _header(line[0]) if len(line[0]) <= _LONGEST else None
        if header is not None:
            gap, kinds = header
            continue
        if gap is None:
            continue
        cells = list(_cells(gap, lower, line.start(), line.end()))
        if not len(kinds) - 1 <= len(cells) <= len(kinds):
            gap = None
            continue
        for kind, (start, end) in zip(kinds, cells, strict=False):
            value = lower[start:end]
            if kind is None or _EMPTY.fullmatch(value) or len(value) > 60:
                continue
            if kind is not Category.AGE or _OLD.fullmatch(value):
                yield Span(start, end, kind, 0.94, "column")


@lru_cache(maxsize=256)
def _header(line: str) -> tuple[re.Pattern[str], list[Category | None]] | None:
    for gap in _GAPS:
        cells = [line[start:end].strip("\"'*# :") for start, end in _cells(gap, line, 0, len(line))]
        if not 2 <= len(cells) <= _MOST_CELLS or any(len(cell) > 40 or _VALUE.search(cell) for cell in cells):
            continue
        kinds = [_kind(cell) for cell in cells]
        known = [cell for cell, kind in zip(cells, kinds, strict=True) if kind is not None]
        if len(known) >= 2 and len(known) * 3 >= len(cells) and not _CLEAR.issuperset(known):
            return gap, kinds
    return None


def _kind(cell: str) -> Category | None:
    return next((category for category, pattern in _KINDS if pattern.fullmatch(cell)), None)


def _cells(gap: re.Pattern[str], text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for match in gap.finditer(text, start, end):
        if match.start() > start:
            yield at, match.start()
        at = match.end()
    if at < end:
        yield at, len(text[:end].rstrip()) if text[end - 1].isspace() else end


def _fields(segment: re.Match[str]) -> Iterator[Span]:
    kinds = _SEGMENTS[segment[1]]
    at = segment.start()
    for number, field in enumerate(segment[0].split("|")):
        kind = kinds.get(number)
        if kind is not None and field.strip('" \r'):
            offset = at
            for repetition in field.split("~"):
                yield from _parts(repetition, offset, kind)
                offset += len(repetition) + 1
        at += len(field) + 1


def _parts(field: str, offset: int, kind: Category) -> Iterator[Span]:
    if kind is Category.PHONE and "^" in field:
        for digits in _DIGITS.finditer(field):
            yield Span(offset + digits.start(), offset + digits.end(), kind, 0.96, "hl7-field")
    wanted = 1 if kind not in {Category.NAME, Category.LOCATION} else _NAME_PARTS if kind is Category.NAME else 9
    at = offset
    for place, part in enumerate(field.split("^")[: wanted or 1]):
        value = part.strip()
        if any(map(str.isalnum, value)) and not (kind is Category.LOCATION and place in _KEPT_PARTS):
            start = at + part.index(value)
            yield Span(start, start + len(value), kind, 0.96, "hl7-field")
        at += len(part) + 1
