"""Coded concepts: a code says what it says by its value; its meaning is free text and is written anew.

References
----------
DICOM PS3.3 table 8.8-1a (code sequence macro), PS3.16 section 8 (coding schemes)
"""

import re
from collections.abc import Mapping
from functools import cache

from pydicom.datadict import keyword_for_tag

from osler.deidentify.coding import is_unit
from osler.domain.codes import Code

UNKNOWN = Code("261665006", "SCT", "Unknown")
"""Stands in for a code of a scheme that is not listed here."""

_VALUES: Mapping[str, re.Pattern[str]] = {
    "LN": re.compile(r"\d{1,5}-\d"),
    "NCIt": re.compile(r"C\d{1,7}"),
    "RADLEX": re.compile(r"R(?:ID|PID)\d{1,6}"),
    "SCT": re.compile(r"\d{6,18}"),
    "SNM3": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "SRT": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "99SDM": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "UMLS": re.compile(r"C\d{7}"),
}
"""Forms of codes that the standard's context groups need not know. A scheme whose codes look like any short number or
word (DCM, FMA, MDC, UCUM) has none here: of it only known codes are let through."""

_LOCAL = re.compile(r"[A-Z]{0,3}[-._]?[0-9]{1,4}")
_SCHEME = re.compile(r"99[A-Z0-9_]{1,14}|DCM|MDC|FMA|IBSI|I10|I9|I10P|C4|HPC")

_VERHOEFF = tuple(
    tuple(
        ((i + j) % 5 if j < 5 else (i + j - 5) % 5 + 5) if i < 5 else ((i - j) % 5 + 5 if j < 5 else (i - j) % 5)
        for j in range(10)
    )
    for i in range(10)
)
_SHUFFLE = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def safe_code(value: bytes, scheme: bytes) -> Code:
    """Return the concept as it may be passed on.

    Parameters
    ----------
    value, scheme : bytes
        Code Value (0008,0100) and Coding Scheme Designator (0008,0102) as encoded; the value is empty when absent.

    Returns
    -------
    Code
        With the meaning that the standard's context groups give it, or the value itself as its meaning when they do not
        know it; :data:`UNKNOWN` when they do not and the value lacks the form or check digit of a listed scheme.
    """
    code, designator = (raw.decode("ascii", "replace").strip(" \0") for raw in (value, scheme))
    meaning = _meanings().get((designator, code))
    if meaning is None and not _has_form(code, designator):
        return UNKNOWN
    return Code(code, designator, meaning or code)


def is_code_sequence(tag: int) -> bool:
    """Whether the items of a sequence are coded concepts, by its name."""
    return keyword_for_tag(tag).endswith("CodeSequence")


def is_local(value: bytes, scheme: bytes) -> bool:
    """Whether a code that the standard does not know is too short to name anybody, or a unit of measurement."""
    code, designator = (raw.decode("ascii", "replace").strip(" \0") for raw in (value, scheme))
    if designator == "UCUM":
        return is_unit(code)
    return _LOCAL.fullmatch(code) is not None and _SCHEME.fullmatch(designator) is not None


def _has_form(code: str, designator: str) -> bool:
    form = _VALUES.get(designator)
    if form is None or not form.fullmatch(code):
        return False
    if designator == "SCT":
        return _is_sctid(code)
    return designator != "LN" or _luhn(code.replace("-", "")) == 0


def _is_sctid(code: str) -> bool:
    """Whether a number names a concept of SNOMED CT: its partition says so, and its check digit (Verhoeff) holds."""
    check = 0
    for place, digit in enumerate(map(int, reversed(code))):
        for _ in range(place % 8):
            digit = _SHUFFLE[digit]
        check = _VERHOEFF[check][digit]
    return check == 0 and code[-3:-1] in ("00", "10")


def _luhn(code: str) -> int:
    """Return the checksum of a LOINC code with its check digit (mod 10); 0 when it holds."""
    digits = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(code))]
    return sum(digit // 10 + digit % 10 for digit in digits) % 10


@cache
def _meanings() -> Mapping[tuple[str, str], str]:
    from pydicom.sr.codedict import codes

    return {
        (code.scheme_designator, code.value): code.meaning.encode("ascii", "replace").decode("ascii")[:64]
        for scheme in codes.schemes()
        for code in getattr(codes, scheme).concepts.values()
    }
