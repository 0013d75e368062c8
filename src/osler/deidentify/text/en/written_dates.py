"""A date as English writes it: its year, and the same form some days later."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from osler.deidentify.text.en.numbers import YEAR, year_of

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
        rf"{_MON}[ \-,/]{{0,3}}(?:the )?{_D}(?:[\s,/\-]|of ){{0,4}}(?:{_YY}(?!:))?",
        rf"{_D}[ \-/.,]{{0,3}}(?:day )?(?:of )?{_MON}[ \-/.,]{{0,3}}(?:{_YY}(?!:))?",
        rf"(?P<m>\d{{1,2}}) ?[/.\-] ?(?P<d>\d{{1,2}}) ?[/.\-] ?{_YY}",
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
_SPOKEN: Final = re.compile(YEAR)
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
        if old is None or self.match is None:
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
        for group in sorted((g for g in written if parts.get(g) is not None), key=self.match.start):
            start, end = self.match.span(group)
            pieces += (self.text[at:start], written[group])
            at = end
        whole = "".join([*pieces, self.text[at:]])
        return _WEEKDAY.sub(lambda _: f"{_WEEKDAYS[new.weekday()]}day".capitalize(), whole)

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


def read_date(text: str) -> Written | None:
    """Read what a date span covers, in lower case; None when no element of it is understood."""
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
