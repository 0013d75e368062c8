"""The patient's coarse age: all that is told of it, and not in the file."""

import re
from collections.abc import Mapping
from datetime import date

from osler.domain.states import AgeBand

PATIENT_BIRTH_DATE = 0x00100030
PATIENT_AGE = 0x00101010
STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE = 0x00080020, 0x00080021, 0x00080022, 0x00080023
_AT = (STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE)
READ = frozenset({PATIENT_BIRTH_DATE, PATIENT_AGE, *_AT})
"""Attributes of the dataset that :func:`age_band` looks at."""

MAX_YEARS = 120
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_MONTHS_IN = {"D": 1 / 30.4375, "W": 7 / 30.4375, "M": 1.0, "Y": 12.0}
_BANDS = (
    (1 * 12, AgeBand.INFANT),
    (6 * 12, AgeBand.YOUNG_CHILD),
    (12 * 12, AgeBand.CHILD),
    (18 * 12, AgeBand.ADOLESCENT),
    (MAX_YEARS * 12, AgeBand.ADULT),
)


def age_band(values: Mapping[int, bytes]) -> AgeBand:
    """Return the age band from Patient's Age (0010,1010), else from the birth date and the first date of the study.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ`.

    Returns
    -------
    AgeBand
        ``UNKNOWN`` when neither is there, or what is there is not plausible: before birth, or beyond 120 years.
    """
    texts = {tag: values.get(tag, b"").decode("ascii", "replace").strip(" \0") for tag in READ}
    match = _AGE.fullmatch(texts[PATIENT_AGE])
    if match and (int(match[1]) or match[2] != "Y"):
        return _band_of_age(int(match[1]), match[2])
    born = _date(texts[PATIENT_BIRTH_DATE])
    seen = next(filter(None, (_date(texts[tag]) for tag in _AT)), None)
    if born is None or seen is None or seen < born:
        return AgeBand.UNKNOWN
    days = (seen - born).days
    if days < 28:
        return AgeBand.NEONATE
    months = 12 * (seen.year - born.year) + seen.month - born.month - (seen.day < born.day)
    return _band(months)


def _band_of_age(number: int, unit: str) -> AgeBand:
    if (unit == "D" and number < 28) or (unit == "W" and number < 4) or (unit == "M" and number < 1):
        return AgeBand.NEONATE
    return _band(number * _MONTHS_IN[unit])


def _band(months: float) -> AgeBand:
    return next((band for limit, band in _BANDS if months < limit), AgeBand.UNKNOWN)


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if re.fullmatch(r"\d{8}", text) else None
    except ValueError:
        return None
