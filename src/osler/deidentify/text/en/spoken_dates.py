"""A date said in words ("the fifth of march twenty twenty one"), and the same some days later."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from osler.deidentify.text.en.numbers import DAY_WORD, ORDINAL, ORDINALS, TENS, UNITS, VALUES, YEAR, year_of

_MONTHS: Final = "january february march april may june july august september october november december".split()  # noqa: SIM905
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_DAY: Final = rf"(?P<day>{ORDINAL}|{DAY_WORD})"
_FORMS: Final = tuple(
    re.compile(rf"{form}(?:,? (?:of )?(?P<year>{YEAR}|\d{{4}}))?$")
    for form in (rf"^(?:the )?{_DAY}(?: day)? of {_MONTH}", rf"^{_MONTH},? (?:the )?{_DAY}")
)
_ANY_YEAR: Final = 2001


@dataclass(frozen=True, slots=True)
class Spoken:
    """A date read from words; ``year`` is None when it is not said."""

    match: re.Match[str]
    day: int
    year: int | None

    def shifted(self, days: int) -> str | None:
        """Return the date so many days later in words; None when it is no day of the calendar."""
        month = _MONTHS.index(self.match["month"]) + 1
        try:
            new = date(self.year or _ANY_YEAR, month, self.day) + timedelta(days=days)
        except ValueError:
            return None
        ordinal = self.match["day"].replace(" ", "-") in _SPELLED_ORDINALS
        words = {
            "month": _MONTHS[new.month - 1],
            "day": ordinal_words(new.day) if ordinal else number_words(new.day),
            "year": (str(new.year) if (self.match["year"] or "").isdigit() else year_words(new.year)),
        }
        text = self.match.string
        for group in sorted((g for g in words if self.match[g]), key=self.match.start, reverse=True):
            start, end = self.match.span(group)
            text = text[:start] + words[group] + text[end:]
        return text


_SPELLED_ORDINALS: Final = tuple(word.replace("~", "-") for word in ORDINALS)


def read_spoken(text: str) -> Spoken | None:
    """Read a date in lower-case words; None when it is none."""
    for form in _FORMS:
        match = form.search(text)
        if match:
            spelled = match["day"].replace(" ", "-")
            day = (
                _SPELLED_ORDINALS.index(spelled) + 1
                if spelled in _SPELLED_ORDINALS
                else sum(VALUES[word] for word in spelled.split("-"))
            )
            year = match["year"]
            return Spoken(match, day, None if year is None else int(year) if year.isdigit() else year_of(year))
    return None


def ordinal_words(day: int) -> str:
    """Return "fifth" for 5."""
    return _SPELLED_ORDINALS[day - 1].replace("-", " ")


def number_words(number: int) -> str:
    """Return "forty two" for 42, for numbers below 100."""
    if number < 20:
        return UNITS.split()[number]
    tens = TENS.split()[number // 10 - 2]
    return f"{tens} {number_words(number % 10)}" if number % 10 else tens


def year_words(year: int) -> str:
    """Return "nineteen seventy two" for 1972, "two thousand five" for 2005."""
    if 2000 <= year < 2010:
        return "two thousand" + (f" {number_words(year % 100)}" if year % 100 else "")
    rest = year % 100
    last = f"oh {number_words(rest)}" if 0 < rest < 10 else number_words(rest) if rest else "hundred"
    return f"{number_words(year // 100)} {last}"
