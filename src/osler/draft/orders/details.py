"""How much, how often, how long, when: in the words of the sentence, by pattern."""

import re
from typing import Final

_N: Final = (
    r"(?:\d{1,5}(?:[.,]\d{1,3})?|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|"
    r"couple(?:\s+of)?|few|several)"
)
_RANGE: Final = (
    rf"(?:(?:about|another|the\s+next|a\s+couple(?:\s+of)?|a\s+few)\s+)*{_N}?(?:\s*(?:to|or|-|"
    rf"\u2013)\s*(?:about\s+)?{_N})?"
)
_SPAN: Final = r"(?:minutes?|hours?|days?|weeks?|months?|years?)"

DOSE: Final = re.compile(
    r"(?<![\d.,])\d{1,5}(?:,\d{3})*(?:\.\d{1,3})?(?:\s*(?:to|-|"
    r"or)\s*\d{1,5}(?:\.\d{1,3})?)?\s*-?(?:mg|mcg|milligrams?|micrograms?|grams?|g|"
    r"ml|milliliters?|cc|units?|iu|meq|tablets?|tabs?|capsules?|pills?|puffs?|drops?|sprays?|%|"
    r"percent)(?![\w/])(?!\s*/\s*d)",
    re.IGNORECASE,
)
FREQUENCY: Final = re.compile(
    rf"\b(?:(?:once|twice|thrice|(?:{_N})(?:\s*(?:to|-|or)\s*{_N})?\s+times)\s*(?:a|an|per|each|every|"
    rf"in\s+the)?\s*(?:day|daily|week|weekly|month|night|"
    rf"nightly|morning|evening|hour)|once\s+at\s+(?:night|bedtime)|every\s+(?:other\s+|"
    rf"single\s+)?(?:day|morning|evening|night|week|month|"
    rf"{_N}(?:\s*(?:to|-|or)\s*{_N})?\s+(?:hours?|days?|weeks?|months?))|daily|nightly|weekly|monthly|"
    rf"a\s+day|per\s+day|a\s+week|"
    r"(?:each|in\s+the|at)\s+(?:morning|evening|night|bedtime|mornings)|at\s+bedtime|b\.?i\.?d\b\.?|"
    r"t\.?i\.?d\b\.?|q\.?i\.?d\b\.?|qhs|qd|q\d{1,2}h)",
    re.IGNORECASE,
)
ROUTE: Final = re.compile(
    r"\b(?:by\s+mouth|orally|oral|p\.?o\b\.?|topical(?:ly)?|intramuscular(?:ly)?|im|"
    r"intravenous(?:ly)?|iv|subcutaneous(?:ly)?|"
    r"sublingual(?:ly)?|under\s+the\s+tongue|inhaled|intranasal(?:ly)?|rectal(?:ly)?|in\s+(?:each|"
    r"both|the\s+(?:left|right))\s+(?:eyes?|ears?|nostrils?)|"
    r"(?:to|on)\s+the\s+affected\s+areas?)\b",
    re.IGNORECASE,
)
_DAYS: Final = r"(?:days?|weeks?|months?|years?)"

DURATION: Final = re.compile(
    rf"\b(?:for\s+{_RANGE}\s*(?:more\s+|full\s+)?{_DAYS}|{_N}[ -]{_DAYS}\s+(?:course|supply|taper)|"
    rf"{_N}\s+{_DAYS}'?\s*worth)\b",
    re.IGNORECASE,
)
AS_NEEDED: Final = re.compile(r"\b(?:as\s+needed|prn|when\s+needed)\b", re.IGNORECASE)
WHEN: Final = re.compile(
    rf"\b(?:(?:in|within|for|at)\s+(?:about\s+)?{_RANGE}\s*(?:more\s+)?{_SPAN}(?:\s*(?:to|or|"
    rf"-)\s*(?:so|{_N})(?:\s+{_SPAN})?)?(?!\s*'?s?\s*worth)(?:\s+post\s+procedure)?|"
    rf"(?:the\s+)?(?:next|this|later\s+this)\s+(?:week|month|year|summer|visit|time|blood\s+draw|afternoon|morning|"
    rf"monday|tuesday|wednesday|thursday|friday)|today|tomorrow|tonight|afterwards|(?:for|"
    rf"in)\s+the\s+future|(?:a\s+)?{_N}\s+{_SPAN}\s+(?:from\s+now|after(?:\s+surgery)?|later)|"
    rf"(?:finally|within)?\s*\d+\s+{_SPAN}\b(?=\s*$)|before\s+(?:the\s+)?(?:next\s+visit|surgery)|"
    rf"after\s+(?:the\s+)?(?:surgery|procedure))\b",
    re.IGNORECASE,
)
CONDITION: Final = re.compile(
    r"\b(?:if|once(?!\s+(?:an?|per|every|each|daily|weekly|nightly|at)\b)|when(?!\s+needed)|unless|"
    r"in\s+case|should\s+(?:it|the|this|you|he|she|they)|"
    r"depending\s+on|pending|provided\s+that|as\s+long\s+as|after(?!\s+(?:surgery|the\s+(?:surgery|"
    r"procedure))|wards))\b",
    re.IGNORECASE,
)
_FROM_TO: Final = re.compile(r"\bfrom\b.*?\bto\b", re.IGNORECASE | re.DOTALL)
_UP_TO: Final = re.compile(
    r"\b(?:up\s+|down\s+)?to\s+(\d{1,4}(?:,\d{3})*(?:\.\d{1,2})?)\b(?!\s*(?:times|days?|weeks?|months?|hours?|/|%))",
    re.IGNORECASE,
)


def first(pattern: re.Pattern[str], text: str) -> str:
    """Return the first match of a pattern, its blanks made one; empty without."""
    match = pattern.search(text)
    return " ".join(match[0].split()) if match else ""


def dose_of(text: str) -> str:
    """Return the one dose of a text: of "from 20 mg to 40 mg" the second; empty where there are several."""
    moved = _FROM_TO.search(text)
    given = list(DOSE.finditer(text, moved.end() if moved else 0))
    said = list(dict.fromkeys(" ".join(match[0].split()) for match in given))
    if len(said) == 1:
        return said[0]
    if said:
        return "" if len(said) > 2 or not _counts(said) else " ".join(said)
    bare = _UP_TO.search(text)
    return bare[1] if bare else ""


def _counts(said: list[str]) -> bool:
    """Whether two amounts are one dose: a strength and how many of it."""
    pieces = [bool(re.search(r"tab|cap|pill|puff|drop|spray", one, re.IGNORECASE)) for one in said]
    return sorted(pieces) == [False, True]


def same_time(mine: str, theirs: str) -> bool:
    """Whether two words of how often or when say the same: "a day" and "once daily"."""
    first, second = _plain(mine), _plain(theirs)
    return first == second or (first | second) - {"day"} <= _OF_THE_DAY


_OF_THE_DAY: Final = frozenset({"morning", "evening", "night", "bedtime"})
_NUMBERS: Final = {
    **{
        ("a"): "1",
        "an": "1",
        "one": "1",
        "once": "1",
        "two": "2",
        "twice": "2",
        "three": "3",
        "four": "4",
        "five": "5",
    },
    **{"six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"},
}
_EMPTY: Final = frozenset("in within for about at the per each every times next around to or of".split())  # noqa: SIM905
_UNITS: Final = {"daily": "day", "weekly": "week", "nightly": "night", "monthly": "month"}


def _plain(text: str) -> frozenset[str]:
    words = [
        _UNITS.get(word, _NUMBERS.get(word, word)).rstrip("s") for word in re.findall(r"[a-z]+|[\d.]+", text.lower())
    ]
    return frozenset(word for word in words if word not in _EMPTY and word != "1")
