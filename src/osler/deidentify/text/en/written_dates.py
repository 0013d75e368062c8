"""A date as English writes it: its year, and the same form some days later."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from osler.deidentify.text.en.numbers import YEAR, year_of
from osler.deidentify.text.en.spoken_dates import Spoken, read_spoken

MONTH_NAMES: Final = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MON: Final = r"(?P<mon>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?P<rest>t(?=\b)|[a-z]{0,6})\.?"
_D: Final = r"(?P<d>\d{1,2})(?P<suffix>st|nd|rd|th)?(?!\d)"
_YY: Final = r"'?(?P<y>\d{4}|\d\d)(?!\d)"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        r"(?<!\d)(?P<y>(?:1[89]|20)\d\d)(?P<s>[-/.]?)(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)(?=\D|$|\d{4})",
        rf"(?P<y>\d{{4}})[-/ ]{_MON}[-/ ]{_D}",
        rf"{_MON}[\s\-,/]{{0,3}}(?:the )?{_D}(?:[\s,/\-]|of ){{0,4}}(?:{_YY}(?!:))?",
        rf"{_D}[ \-/.,]{{0,3}}(?:day )?(?:of )?{_MON}[ \-/.,]{{0,3}}(?:{_YY}(?!:))?",
        rf"(?P<m>\d{{1,2}})\s?[/.\-]\s?(?P<d>\d{{1,2}})\s?[/.\-]\s?{_YY}",
        r"^(?P<m>\d\d)(?P<d>\d\d)(?P<y>\d{4}|\d\d)$",
        rf"{_MON}(?:[\s,/\-']|of ){{1,5}}(?P<y>\d{{4}}|\d\d)(?!\d)",
        r"(?P<m>\d{1,2})[/\-](?P<y>\d{4})",
        r"(?P<y>\d{4})-(?P<m>\d\d)$",
        r"^(?P<m>\d{1,2})/(?P<d>\d{1,2})$",
        r"(?P<y>(?:1[89]|20)\d\d)(?!\d)",
    )
)
_WEEKDAYS: Final = ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
_WEEKDAY: Final = re.compile(rf"\b({'|'.join(_WEEKDAYS)})day\b")
_SHORT_WEEKDAY: Final = re.compile(r"\b(?:mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\b")
_SPOKEN: Final = re.compile(YEAR)
_NO_WEEKDAY: Final = re.compile(r"^(?:mon|tues|wednes|thurs|fri|satur|sun)day,? ")
_TO: Final = re.compile(r"\s?(?:-|–|\bto\b|\bthrough\b|\bthru\b|\buntil\b|\band\b)\s?")
_DAYS: Final = r"(\d{1,2}(?:st|nd|rd|th)?)(\s?(?:-|–|to|through|and|&)\s?)(\d{1,2}(?:st|nd|rd|th)?)"
_DAY_RANGES: Final = (
    re.compile(rf"([a-z]{{3,9}}\.? ){_DAYS}((?:,? \d{{4}})?)"),
    re.compile(rf"(){_DAYS}( (?:of )?[a-z]{{3,9}}\.?(?:,? \d{{4}})?)"),
    re.compile(rf"(\d{{1,2}}/){_DAYS}((?:/\d{{4}})?)"),
)
_MORE: Final = re.compile(
    r"\d{1,2}[/-]\d{1,2}(?!\d)|(?<!\d)(?:19|20)\d\d(?!\d)|[-–]\s?\d{1,2}(?!\d)|(?:to|and) \d|\b(?:jan|feb|mar|apr"
    r"|may|jun|jul|aug|sep|oct|nov|dec)"
)
"""What is left of a span when one date of it is read, and would stay as it is if only that one were shifted."""
_ANY_YEAR: Final = 2001
"""Stands for a year that is not written: an ordinary one, so that 29 February needs its year."""


@dataclass(frozen=True, slots=True)
class Written:
    """A date read from a text.

    Parameters
    ----------
    text : str
        Lower case.
    match : re.Match or None
        Where its elements are; None when only a spoken year was found.
    year : int or None
    """

    text: str
    match: re.Match[str] | None
    year: int | None

    def shifted(self, days: int) -> str | None:
        """Return the date so many days later in the same form; None when it is no day or month of the calendar."""
        old = self._date()
        if (
            old is None
            or self.match is None
            or _MORE.search(self.text[: self.match.start()] + self.text[self.match.end() :])
        ):
            return None
        new = old + timedelta(days=days)
        parts = self.match.groupdict()
        month_first = "m" in parts and "d" in parts and not self._swapped()
        padded = "s" in parts or self.text.isdigit() or any((parts.get(p) or "").startswith("0") for p in ("m", "d"))
        written: dict[str, str] = {
            "y": f"{new.year:04d}"[-len(parts.get("y") or "") :] if parts.get("y") else "",
            "m": _number(new.month if month_first or not parts.get("d") else new.day, padded),
            "d": _number(new.day if month_first or "mon" in parts else new.month, padded),
            "suffix": _suffix(new.day) if parts.get("suffix") else "",
            "mon": MONTH_NAMES[new.month - 1][:3].capitalize(),
            "rest": MONTH_NAMES[new.month - 1][3:] if parts.get("rest") or parts.get("mon") == "may" else "",
        }
        pieces: list[str] = []
        at = 0
        for group in sorted((g for g in written if parts.get(g) is not None), key=self.match.span):
            start, end = self.match.span(group)
            pieces += (self.text[at:start], written[group])
            at = end
        whole = "".join([*pieces, self.text[at:]])
        day = f"{_WEEKDAYS[new.weekday()]}day".capitalize()
        return _SHORT_WEEKDAY.sub(day[:3], _WEEKDAY.sub(day, whole))

    def _swapped(self) -> bool:
        return self.match is not None and int(self.match["m"]) > 12

    def _date(self) -> date | None:
        if self.match is None:
            return None
        parts = self.match.groupdict()
        if parts.get("mon"):
            month = next(n for n, name in enumerate(MONTH_NAMES, 1) if name.startswith(parts["mon"]))
        elif parts.get("m"):
            month = int(parts["m"])
        else:
            return None
        day = int(parts.get("d") or 15)
        if month > 12:
            month, day = day, month
        try:
            return date(self.year or _ANY_YEAR, month, day)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class WrittenRange:
    """Two dates and what stands between them; a day without its month gets it when the range is shifted."""

    first: Written
    between: str
    second: Written

    @property
    def year(self) -> int | None:
        """The year of the range; None when it is not written."""
        return self.second.year

    def shifted(self, days: int) -> str | None:
        """Return both dates so many days later; None when one does not say enough."""
        first, second = self.first.shifted(days), self.second.shifted(days)
        return None if first is None or second is None else f"{first}{self.between}{second}"


def read_date(text: str) -> Written | WrittenRange | Spoken | None:
    """Read what a date span covers, in lower case; None when no element of it is understood."""
    return _read_range(text) or read_spoken(text) or _read_one(text)


def _read_range(text: str) -> WrittenRange | None:
    for form in _DAY_RANGES:
        match = form.fullmatch(text)
        if match:
            before, first, between, second, after = match.groups(default="")
            slash = after.startswith("/")
            month = before or re.sub(r"[^a-z]+.*$", "", after.lstrip())
            one = f"{before}{first}" if before else f"{first} {month}"
            return _range(one, between, f"{before}{second}{after}" if before or slash else f"{second}{after}")
    for joint in _TO.finditer(text):
        made = _range(text[: joint.start()], joint[0], text[joint.end() :])
        if made:
            return made
    return None


def _range(first: str, between: str, second: str) -> WrittenRange | None:
    one, two = _read_whole(first), _read_whole(second)
    if one is None or two is None:
        return None
    return WrittenRange(one if one.year else replace(one, year=two.year), between, two)


def _read_whole(text: str) -> Written | None:
    """Read a date that is the whole of the text, the weekday apart, and has a month."""
    bare = _NO_WEEKDAY.sub("", text)
    for form in _FORMS:
        match = form.fullmatch(bare)
        if match and not {"m", "mon"}.isdisjoint(match.groupdict()):
            written = match.groupdict().get("y")
            return Written(bare, match, _century(written) if written else None)
    return None


def _read_one(text: str) -> Written | None:
    for form in _FORMS:
        match = form.search(text)
        if match and match.groupdict().get("mon") == "may" and match["rest"]:
            continue
        if match:
            written = match.groupdict().get("y")
            return Written(text, match, _century(written) if written else None)
    spoken = _SPOKEN.search(text)
    return Written(text, None, year_of(spoken[0])) if spoken else None


def _century(written: str) -> int:
    if len(written) == 4:
        return int(written)
    this = datetime.now(UTC).year
    year = this - this % 100 + int(written)
    return year if year <= this + 5 else year - 100


def _number(value: int, padded: bool) -> str:
    return f"{value:02d}" if padded else str(value)


def _suffix(day: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in {11, 12, 13} else 0, "th")
