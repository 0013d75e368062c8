"""Coded concepts: a code says what it says by its value; its meaning is free text and is written anew.

References
----------
DICOM PS3.3 table 8.8-1a (code sequence macro), PS3.16 section 8 (coding schemes)
"""

import re
from collections.abc import Mapping
from functools import cache

from osler.domain.codes import Code

UNKNOWN = Code("261665006", "SCT", "Unknown")
"""Stands in for a code of a scheme that is not listed here."""

_VALUES: Mapping[str, re.Pattern[str]] = {
    "DCM": re.compile(r"\d{5,6}"),
    "FMA": re.compile(r"\d{1,6}"),
    "LN": re.compile(r"\d{1,5}-\d"),
    "MDC": re.compile(r"\d{1,6}"),
    "NCIt": re.compile(r"C\d{1,7}"),
    "RADLEX": re.compile(r"R(?:ID|PID)\d{1,6}"),
    "SCT": re.compile(r"\d{6,18}"),
    "SNM3": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "SRT": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "99SDM": re.compile(r"[A-Z]\d?-[0-9A-F]{4,6}"),
    "UCUM": re.compile(r"[A-Za-z0-9%/.*^-]{1,10}"),
    "UMLS": re.compile(r"C\d{7}"),
}


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
        know it; :data:`UNKNOWN` when the scheme is not listed or the value does not have the scheme's form.
    """
    code, designator = (raw.decode("ascii", "replace").strip(" \0") for raw in (value, scheme))
    form = _VALUES.get(designator)
    if form is None or not form.fullmatch(code):
        return UNKNOWN
    return Code(code, designator, _meanings().get((designator, code), code))


@cache
def _meanings() -> Mapping[tuple[str, str], str]:
    from pydicom.sr.codedict import codes

    return {
        (code.scheme_designator, code.value): code.meaning.encode("ascii", "replace").decode("ascii")[:64]
        for scheme in codes.schemes()
        for code in getattr(codes, scheme).concepts.values()
    }
