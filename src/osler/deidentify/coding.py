"""Codes and units: which of them are words of a shared vocabulary, and so can name nobody."""

import csv
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from osler.deidentify.free_text import TextDeidentifier

_UNIT_MARKS: Final = re.compile(r"[][(){}/.·*^\s]+|(?<=[A-Za-z])[0-9](?![0-9])")
_POWER: Final = re.compile(r"(?<![A-Za-z0-9])[xX]? ?10(?:\*{1,2}|\^|[eE])[0-9]{1,2}(?![0-9])")
_BODY_SURFACE: Final = re.compile(r"1\.73[ _]?m(?:2|\^2|²)")
_YEARS: Final = frozenset({"a", "y", "yr", "yrs", "year", "years"})
_MONTHS: Final = frozenset({"mo", "month", "months"})
_LONG_NUMBER: Final = re.compile(r"[0-9]{5}")
_LOCAL_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,31}")


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """A shared vocabulary and the form of its codes; no pattern means units."""

    v2: frozenset[str]
    uri: str
    pattern: re.Pattern[str] | None

    def has(self, code: str) -> bool:
        """Tell whether a text has the form of a code of this system."""
        return is_unit(code) if self.pattern is None else self.pattern.fullmatch(code) is not None


@cache
def _units() -> frozenset[str]:
    source = files("osler.deidentify").joinpath("data/units.txt").read_text(encoding="ascii")
    return frozenset(source.splitlines()[1:])


@cache
def _systems() -> tuple[CodeSystem, ...]:
    lines = files("osler.deidentify").joinpath("data/code-systems.csv").read_text(encoding="ascii").splitlines()[1:]
    return tuple(
        CodeSystem(
            frozenset(row["v2"].split()),
            row["uri"],
            None if row["pattern"] == "UNIT" else re.compile(row["pattern"], re.ASCII),
        )
        for row in csv.DictReader(lines)
    )


@cache
def _by_v2() -> dict[str, CodeSystem]:
    return {name: system for system in _systems() for name in system.v2}


def system_of_uri(uri: str) -> CodeSystem | None:
    """Return the shared vocabulary that FHIR names by a URI, or None."""
    for system in _systems():
        known = system.uri
        if known and (
            uri == known or (known.endswith("*") and uri.startswith(known[:-1]) and _plain(uri[len(known) - 1 :]))
        ):
            return system
    return None


@lru_cache(maxsize=1024)
def system_of_v2(name: str) -> CodeSystem | None:
    """Return the shared vocabulary that HL7 v2 names so (table 0396), or None."""
    return _by_v2().get("HL7" if re.fullmatch(r"HL7[0-9]{4}", name) else name)


def _plain(rest: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._/-]{0,80}", rest) is not None and not _LONG_NUMBER.search(rest)


def local_code(code: str, text: TextDeidentifier) -> str:
    """Return a code of a site's own system if the text engine finds nothing in it and it holds no long number."""
    if not _LOCAL_CODE.fullmatch(code) or _LONG_NUMBER.search(code):
        return ""
    return code if text.deidentify(code) == code else ""


def is_unit(text: str) -> bool:
    """Tell whether a text is made of names of units alone, as UCUM and people write them."""
    if not text or len(text) > 40 or text in _units():
        return bool(text) and text in _units()
    parts = [part for part in _UNIT_MARKS.split(_BODY_SURFACE.sub("m2", _POWER.sub("1", text))) if part]
    return bool(parts) and all(part in _units() or part == "1" for part in parts)


def is_measure(digits: str) -> bool:
    """Tell whether the digits before a decimal point can be a measure; eight and more that differ are an identifier."""
    figures = digits.strip("+-").lstrip("0")
    return len(figures) < 8 or len(figures.rstrip("0")) <= 4


def in_years(value: float, unit: str) -> float | None:
    """Return a length of time in years when its unit is the year or the month, else None."""
    if unit.lower() in _YEARS:
        return value
    return value / 12 if unit.lower() in _MONTHS else None
