"""Values from the headers that devices really write: absent, padded, of the wrong form, in another character set.

Each function returns a value that its value representation allows, or the empty one. Nothing here raises for what a
header holds, and nothing quotes it.
"""

import contextlib
import datetime
import re
import struct
import warnings
from collections.abc import Iterator
from typing import Final

import pydicom
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TIME: Final = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})")
_CODE: Final = re.compile(r"[A-Z0-9 _]{1,16}")
UNREADABLE: Final = (
    ValueError, TypeError, AttributeError, KeyError, LookupError, NotImplementedError, ArithmeticError, struct.error,
)  # fmt: skip
"""What pydicom was seen to raise, or may, on values that are not what they claim to be."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep pydicom's warnings away while identified values are handled: they quote the value at fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def text(header: pydicom.Dataset, keyword: str, *, longest: int = 64) -> str:
    """Return the first value of a text attribute (LO, SH, CS), without padding and control characters, cut to fit."""
    return one_line(_first(header, keyword), longest=longest)


def one_line(value: str, *, longest: int = 64) -> str:
    """Return a text as LO or SH allow it: one line, no backslash, at most ``longest`` characters."""
    return _CONTROL.sub(" ", value).replace("\\", " ").strip()[:longest].strip()


def code(header: pydicom.Dataset, keyword: str) -> str:
    """Return the first value of a CS attribute, or nothing when it is not a code string."""
    value = _first(header, keyword).strip().upper()
    return value if _CODE.fullmatch(value) else ""


def date(header: pydicom.Dataset, keyword: str) -> datetime.date | None:
    """Return a DA attribute; the retired form YYYY.MM.DD counts too (PS3.5 table 6.2-1)."""
    value = _first(header, keyword).strip().replace(".", "")
    if len(value) != 8 or not value.isascii() or not value.isdigit():
        return None
    try:
        return datetime.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return None


def time(header: pydicom.Dataset, keyword: str) -> datetime.time | None:
    """Return a TM attribute; what it leaves out counts as zero."""
    match = _TIME.fullmatch(_first(header, keyword).strip().replace(":", ""))
    if match is None or not match.group().isascii():
        return None
    hour, minute, second, fraction = match.groups(default="0")
    try:
        return datetime.time(int(hour), int(minute), min(int(second), 59), int(fraction.ljust(6, "0")))
    except ValueError:
        return None


def timezone(header: pydicom.Dataset) -> datetime.timezone | None:
    """Return Timezone Offset From UTC (0008,0201), or None when the header does not say it."""
    match = _OFFSET.fullmatch(_first(header, "TimezoneOffsetFromUTC").strip())
    if match is None:
        return None
    offset = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
    if offset > datetime.timedelta(hours=14):
        return None
    return datetime.timezone(-offset if match[1] == "-" else offset)


def integer(header: pydicom.Dataset, keyword: str) -> int | None:
    """Return an IS or US attribute when it is a whole number that is not negative."""
    value = _first(header, keyword).strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def name(header: pydicom.Dataset, keyword: str) -> PersonName:
    """Return a PN attribute with its three groups, each cut to 64 characters (PS3.5 6.2)."""
    groups = _first(header, keyword).split("=")[:3]
    return PersonName("=".join(_group(group) for group in groups).rstrip("="))


def _group(value: str) -> str:
    parts = [part.strip() for part in one_line(value, longest=64).split("^")][:5]
    return "^".join(parts).rstrip("^")


def _first(header: pydicom.Dataset, keyword: str) -> str:
    with quietly():
        try:
            value = header.get(keyword)
            if isinstance(value, MultiValue | list | tuple):
                value = value[0] if value else ""
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            return "" if value is None or isinstance(value, pydicom.Dataset | pydicom.Sequence) else str(value)
        except UNREADABLE:
            return ""
