"""What a retain option lets through of a value: what has the form that its attribute gives it.

References
----------
DICOM PS3.15 E.3.6 to E.3.9; 45 CFR 164.514(b)(2)(i)(C) for ages
"""

import re
from typing import Final

from osler.deidentify.dicom.dates import is_moment
from osler.deidentify.dicom.forms import is_harmless
from osler.domain.identifiers import Identity, PseudonymKind
from osler.standards.dicom import SPECIFIC_CHARACTER_SET, is_standard_uid, is_uid

OLDEST: Final = b"090Y"
"""Stands for every age over 89 years."""

_TIMEZONE_OFFSET: Final = 0x00080201
_AGE: Final = re.compile(rb"(\d{3})([DWMY])[ \0]*")
_OFFSET: Final = re.compile(rb"[+-]\d{4}[ \0]*")
_CHARACTER_SETS: Final = re.compile(rb"(?:\\?(?:ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK)? ?)*\0?")
_TEXT: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})


def retained(tag: int, vr: str, value: bytes) -> bytes | None:
    """Return a value as it goes on, None when it has not the form of its attribute.

    Parameters
    ----------
    tag : int
    vr : str
    value : bytes
        As encoded.
    """
    if tag == SPECIFIC_CHARACTER_SET:
        return value if _CHARACTER_SETS.fullmatch(value) else None
    if tag == _TIMEZONE_OFFSET:
        return value if not value or _OFFSET.fullmatch(value) else None
    if vr in ("DA", "TM", "DT"):
        return value if is_moment(value, vr) else None
    if vr == "AS":
        match = _AGE.fullmatch(value)
        if match is None:
            return None if value else value
        return OLDEST if match[2] == b"Y" and int(match[1]) > 89 else value
    if vr == "UI":
        uids = value.rstrip(b"\0 ").decode("ascii", "replace").split("\\")
        return value if all(not uid or is_uid(uid) for uid in uids) else None
    if vr in _TEXT:
        return value
    return value if is_harmless(tag, vr, value) else None


def safe_uid(value: str) -> Identity | str | None:
    """Return a UID of the standard as it is, another as what the vault is to be asked for, and None for no UID."""
    if not value or is_standard_uid(value):
        return value
    return Identity(PseudonymKind.UID, value) if is_uid(value) else None
