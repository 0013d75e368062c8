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

from typing import Final, Protocol

from osler.deidentify import safe_harbor
from osler.deidentify.dates import days_of, shifted
from osler.deidentify.text.profiles import METHODS
from osler.errors import ConfigError

CITATIONS: Final = {
    "safe-harbor": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(b)(2)",
    "limited-data-set": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(e)(2)",
    "surrogates": "https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(b)(1)",
}
"""Where the rule of each method stands; surrogates with moved dates need the opinion of an expert."""


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
        What the vault keeps for :func:`osler.deidentify.dates.secret_of`. Empty when nothing says
        whose values they are: then dates go to the year.
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
    return ShiftedValues(days_of(secret), this_year, limited=method == "limited-data-set")
