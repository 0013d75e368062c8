"""Safe Harbor for structured values: years, ages, places.

References
----------
45 CFR 164.514(b)(2)(i)(B) and (C)
"""

import csv
import re
from functools import cache
from importlib.resources import files
from typing import Final

OLDEST_AGE: Final = 89
"""Years; every age above is told as 90 or older."""

_YEAR: Final = re.compile(r"((?:1[6-9]|20|21)[0-9]{2})(?=$|[-/0-9T])")
_ZIP: Final = re.compile(r"([0-9]{3})[0-9]{2}(?:-?[0-9]{4})?|([0-9]{3})")
_TOWN: Final = re.compile(r"[^\W\d_][^\W\d_]*(?:[ .'’-]{1,2}[^\W\d_]+){0,4}\.?")
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|United States(?: of America)?")


@cache
def _states() -> frozenset[str]:
    return frozenset(_lines("us-places.txt"))


@cache
def small_zip_areas() -> frozenset[str]:
    """Return the three-digit ZIP areas in which 20,000 people or fewer live.

    It is the union of the list that HHS gives as guidance and those of later censuses: an area that was small once
    is not told.
    """
    return frozenset(row["area"] for row in csv.DictReader(_lines("us-zip3.csv")))


def _lines(name: str) -> list[str]:
    return files("osler.deidentify").joinpath("data", name).read_text(encoding="ascii").splitlines()[1:]


def year(date: str) -> str:
    """Return the year of a date that starts with it (FHIR, ISO 8601, HL7 v2, DICOM), empty when it has none."""
    match = _YEAR.match(date)
    return match[1] if match else ""


def year_of_birth(date: str, *, this_year: int) -> str:
    """Return the year of birth; empty when it would tell an age over 89."""
    born = year(date)
    return born if born and this_year - int(born) <= OLDEST_AGE else ""


def state(name: str) -> str:
    """Return a state of the United States, empty when it is none."""
    return name if name.isascii() and name.isprintable() and name[:1].isalpha() and name.upper() in _states() else ""


def country(name: str) -> str:
    """Return a country that is given by its code, empty when it is not."""
    return name if _COUNTRY.fullmatch(name) else ""


def postal_area(code: str) -> str:
    """Return the first three digits of a ZIP code, 000 where few people live, empty for another postal code."""
    match = _ZIP.fullmatch(code)
    if match is None:
        return ""
    area = match[1] or match[2]
    return "000" if area in small_zip_areas() else area


def is_town(name: str) -> bool:
    """Tell whether a text has the form of the name of a town: words without a digit."""
    return len(name) <= 40 and _TOWN.fullmatch(name) is not None
