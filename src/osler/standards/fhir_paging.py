"""Pages of an answer: how many entries one has, and the opaque cursor by which the next one is asked for.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.5.3 (page count), 3.1.0.15 (paging)
"""

import base64
from typing import Final

from osler.errors import Malformed

CURSOR: Final = "_cursor"
"""Name of our own parameter that says where a page starts."""
MAX_COUNT: Final = 500
_MOST_DIGITS: Final = 9


def parse_count(value: str, *, least: int = 0) -> int:
    """Return what ``_count`` asks for, at most :data:`MAX_COUNT`.

    Parameters
    ----------
    value : str
    least : {0, 1}
        0 where a page may be without entries.

    Raises
    ------
    Malformed
        If it is not a whole number, or less than the least.
    """
    if not value.isascii() or not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < least:
        raise Malformed(f"_count is not a {'positive ' if least else ''}whole number")
    return min(int(value), MAX_COUNT)


def write_cursor(position: bytes) -> str:
    """Write where a page ends as it can stand in a URL."""
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


def read_cursor(cursor: str) -> bytes:
    """Read what :func:`write_cursor` wrote.

    Raises
    ------
    ValueError
        If it is nothing of the kind.
    """
    return base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
