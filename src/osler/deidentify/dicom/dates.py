"""Encoded dates (DA, DT) moved by the same number of days, so that intervals stay exact.

References
----------
DICOM PS3.15 E.3.6 (Retain Longitudinal Temporal Information Modified Dates), PS3.5 6.2 (DA, DT)
"""

import re
from datetime import date, timedelta
from typing import Final

from osler.deidentify.dates import days_of, secret_of

__all__ = ["days_of", "is_moment", "moved", "secret_of"]

_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_DATE_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)((?:\d\d){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_PLAIN_TIME: Final = re.compile(rb"(?:\d{2}:?){1,3}(?:\.\d{1,6})?[ \0]*")


def moved(value: bytes, vr: str, days: int) -> bytes | None:
    """Return the values of a DA or DT so many days later; None when one of them is no whole date.

    A DT of a year or a month alone has no day that could be moved exactly.
    """
    form = _DATE if vr == "DA" else _DATE_TIME
    values: list[str] = []
    for one in value.decode("ascii", "replace").rstrip(" \0").split("\\"):
        match = form.fullmatch(one.strip(" "))
        if one.strip() and match is None:
            return None
        later = _moved(match, days) if match else ""
        if later is None:
            return None
        values.append(later)
    return "\\".join(values).encode("ascii")


def _moved(match: re.Match[str], days: int) -> str | None:
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{day.year:04}{day.month:02}{day.day:02}{match[4] if match.re is _DATE_TIME else ''}"


def is_moment(value: bytes, vr: str) -> bool:
    """Whether all values of a DA, TM or DT have the form of one."""
    values = value.rstrip(b" \0").split(b"\\")
    if vr == "TM":
        return all(not one.strip() or _PLAIN_TIME.fullmatch(one.strip()) for one in values)
    form = _DATE if vr == "DA" else re.compile(r"\d{4}(?:\d\d){0,5}(?:\.\d{1,6})?(?:[+-]\d{4})?")
    return all(form.fullmatch(one.decode("ascii", "replace").strip(" ")) or not one.strip() for one in values)
