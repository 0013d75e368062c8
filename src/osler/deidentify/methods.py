"""Methods for structured values: what goes on of a date, an age and a place, in FHIR and HL7 v2 as in their text.

=====================  ===============================================================================================
method                 rule
=====================  ===============================================================================================
``safe-harbor``        45 CFR 164.514(b)(2): dates to the year, ages over 89 as 90, places to the state, ZIP codes to
                       three digits
``limited-data-set``   164.514(e)(2): dates moved by one number of days for each patient, so that intervals are exact;
                       towns, ZIP codes and ages stay
``surrogates``         dates moved, text in values of the same kind; ages and places as in ``safe-harbor``
=====================  ===============================================================================================

Names, numbers, telephones and streets go in all three.
"""

import hashlib
import hmac
import random
import re
from datetime import date, timedelta
from typing import Final, Protocol

from osler.deidentify import safe_harbor
from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.text.profiles import METHODS, SHIFT_DAYS
from osler.errors import ConfigError

CITATIONS: Final = {
    "safe-harbor": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(b)(2)",
    "limited-data-set": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(e)(2)",
    "surrogates": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(b)(1)",
}
"""Where the rule of each method stands; surrogates with moved dates need the opinion of an expert."""

_DATE: Final = re.compile(r"([0-9]{4})(?:(-?)([0-9]{2})(?:\2([0-9]{2}))?)?(?=$|[T0-9+^-])")
_REST: Final = re.compile(r"(?:T?[0-9]{2}(?::?[0-9]{2}){0,2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)


class Values(Protocol):
    """What may go on of single values of one patient; nothing that may is empty."""

    def date(self, value: str) -> str:
        """Return what stands for a date or date and time of FHIR or HL7 v2."""
        ...

    def instant(self, value: str) -> str:
        """Return what stands for a time that is told to the second or not at all."""
        ...

    def birth(self, value: str) -> str:
        """Return what stands for a date of birth."""
        ...

    def city(self, value: str) -> str:
        """Return what stands for a town or city."""
        ...

    def postal(self, value: str) -> str:
        """Return what stands for a postal code."""
        ...

    @property
    def caps_ages(self) -> bool:
        """Whether ages over 89 are told as 90."""
        ...


class SafeHarborValues:
    """45 CFR 164.514(b)(2).

    Parameters
    ----------
    this_year : int
        The year from which ages count.
    """

    caps_ages = True

    def __init__(self, this_year: int) -> None:
        self._this_year = this_year

    def date(self, value: str) -> str:
        """Return the year."""
        return safe_harbor.year(value)

    def instant(self, value: str) -> str:
        """Return nothing."""
        return ""

    def birth(self, value: str) -> str:
        """Return the year unless it tells an age over 89."""
        return safe_harbor.year_of_birth(value, this_year=self._this_year)

    def city(self, value: str) -> str:
        """Return nothing."""
        return ""

    def postal(self, value: str) -> str:
        """Return the first three digits of a ZIP code."""
        return safe_harbor.postal_area(value)


class ShiftedValues:
    """Dates moved; for a limited data set towns, whole ZIP codes and ages stay.

    Parameters
    ----------
    days : int
        How far; negative into the past.
    this_year : int
    limited : bool
        Whether it is a limited data set.
    """

    def __init__(self, days: int, this_year: int, *, limited: bool) -> None:
        self._days = days
        self._this_year = this_year
        self._limited = limited

    @property
    def caps_ages(self) -> bool:
        """Whether ages over 89 are told as 90."""
        return not self._limited

    def date(self, value: str) -> str:
        """Return the moved date."""
        return shifted(value, self._days)

    def instant(self, value: str) -> str:
        """Return the moved date with its time."""
        return shifted(value, self._days)

    def birth(self, value: str) -> str:
        """Return the moved date; for surrogates, only when it tells no age over 89."""
        if not self._limited and not safe_harbor.year_of_birth(value, this_year=self._this_year):
            return ""
        return shifted(value, self._days)

    def city(self, value: str) -> str:
        """Return the town in a limited data set."""
        return value if self._limited and safe_harbor.is_town(value) else ""

    def postal(self, value: str) -> str:
        """Return the ZIP code, whole in a limited data set."""
        area = safe_harbor.postal_area(value)
        return value if self._limited and area else area


def values_for(method: str, secret: str, *, this_year: int) -> Values:
    """Return what the method does with the structured values of one patient.

    Parameters
    ----------
    method : str
    secret : str
        As :func:`patient_secret` makes it. Empty when nothing says whose values they are: then dates go to the year.
    this_year : int

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    if method not in METHODS:
        raise ConfigError(f"there is no such method; there is {', '.join(METHODS)}")
    if method == "safe-harbor" or not secret:
        return SafeHarborValues(this_year)
    return ShiftedValues(shift_days(secret), this_year, limited=method == "limited-data-set")


def patient_secret(pseudonyms: Pseudonyms, patient: str) -> str:
    """Return what a patient's shift and surrogates are drawn from: random, in the vault, in no output.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    patient : str
        What tells the patient apart; empty gives an empty secret.
    """
    return pseudonyms.uid(f"method {patient}") if patient else ""


def shift_days(secret: str) -> int:
    """Return the days by which all dates of a patient are moved, the same as the text engine draws from the secret."""
    seed = hmac.new(secret.encode(), b"\0shift", hashlib.sha256).digest()
    return -random.Random(seed).randint(*SHIFT_DAYS)  # noqa: S311 (seeded by a keyed hash, so that it is the same again)


def shifted(value: str, days: int) -> str:
    """Return a FHIR or HL7 v2 date so many days later, its time and time zone as they were; '' when it is no date.

    A year or a month is moved as its middle is, and stays a year or a month.
    """
    match = _DATE.match(value)
    if match is None or not _REST.fullmatch(value, match.end()) or (match[4] is None and match.end() != len(value)):
        return ""
    year, mark, month, day = match.groups()
    try:
        moved = date(int(year), int(month or 7), int(day or (15 if month else 2))) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    parts = [f"{moved.year:04}", f"{moved.month:02}", f"{moved.day:02}"]
    kept = 1 if month is None else 2 if day is None else 3
    return (mark or "").join(parts[:kept]) + value[match.end() :]
