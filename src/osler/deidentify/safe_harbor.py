"""Safe Harbor for structured values: years, ages, places.

References
----------
45 CFR 164.514(b)(2)(i)(B) and (C)
"""

import re
from functools import cache
from importlib.resources import files
from typing import Final

OLDEST_AGE: Final = 89
"""Years; every age above is told as 90 or older."""

_YEAR: Final = re.compile(r"((?:1[6-9]|20|21)[0-9]{2})(?=$|[-/0-9T])")
_ZIP: Final = re.compile(r"([0-9]{3})[0-9]{2}(?:-?[0-9]{4})?|([0-9]{3})")
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|United States(?: of America)?")


@cache
def _places() -> frozenset[str]:
    """Return the states and the ZIP areas with few people."""
    source = files("osler.deidentify").joinpath("data/us-places.txt").read_text(encoding="ascii")
    return frozenset(source.splitlines()[1:])


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
    return name if name.isascii() and name.isprintable() and name[:1].isalpha() and name.upper() in _places() else ""


def country(name: str) -> str:
    """Return a country that is given by its code, empty when it is not."""
    return name if _COUNTRY.fullmatch(name) else ""


def postal_area(code: str) -> str:
    """Return the first three digits of a ZIP code, 000 where few people live, empty for another postal code."""
    match = _ZIP.fullmatch(code)
    if match is None:
        return ""
    area = match[1] or match[2]
    return "000" if area in _places() else area
