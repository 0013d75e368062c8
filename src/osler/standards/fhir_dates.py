"""FHIR dates as intervals: a partial date is the whole of its day, month or year (R4 3.1.1.4.7)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from osler.errors import Malformed

NO_DATE: Final = -1e15
"""Seconds since the epoch that stand for a missing date or an open start: before everything."""
ALWAYS: Final = 1e15
"""Seconds since the epoch that stand for an open end: after everything."""
_FORM: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_span(text: str) -> tuple[float, float]:
    """Return the interval that a date, dateTime, instant or partial date covers.

    Parameters
    ----------
    text : str
        ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD``, ``...Thh:mm``, ``...Thh:mm:ss[.fff]`` with or without a time zone.
        Without one it is taken as UTC.

    Returns
    -------
    low, high : float
        Seconds since the epoch, UTC; the interval ends just before ``high``.

    Raises
    ------
    Malformed
        If it is not a date.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise Malformed("a date has not the form YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss")
    part = match.groupdict()
    try:
        low = datetime(
            int(part["year"]),
            int(part["month"] or 1),
            int(part["day"] or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            min(int(part["second"] or 0), 59) if part["second"] == "60" else int(part["second"] or 0),
            tzinfo=_zone(part["zone"]),
        )
    except ValueError:
        raise Malformed("a date names a day or time that does not exist") from None
    start = (low - _EPOCH).total_seconds() + (1.0 if part["second"] == "60" else 0.0)
    if part["fraction"]:
        digits = part["fraction"][:6]
        return start + int(digits) / 10 ** len(digits), start + (int(digits) + 1) / 10 ** len(digits)
    return start, start + _length(part, low)


def _length(part: dict[str, str | None], low: datetime) -> float:
    """Return how many seconds the last unit that was written lasts."""
    if part["second"]:
        return 1.0
    if part["hour"]:
        return 60.0
    if part["day"]:
        return 86400.0
    if part["month"]:
        following = (
            (low.replace(day=1) + timedelta(days=31)).replace(day=1) if (low.year, low.month) < (9999, 12) else None
        )
        return (following - low).total_seconds() if following else 31 * 86400.0
    return 86400.0 * (366 if low.year % 4 == 0 and (low.year % 100 != 0 or low.year % 400 == 0) else 365)


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59:
        raise ValueError("time zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
