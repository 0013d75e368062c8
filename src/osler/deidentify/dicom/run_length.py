"""Bytes of an RLE frame that belong to no pixel: after the last run of a segment, and between segments.

References
----------
DICOM PS3.5 annex G (RLE compression)
"""

from collections.abc import Iterator
from itertools import pairwise
from struct import Struct
from typing import Final

from osler.errors import Malformed

_HEADER: Final = Struct("<16I")
_NOTHING: Final = 128


def idle_spans(data: bytes, start: int, end: int, *, pixels: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of ``data[start:end]``, one frame, that no pixel is made from.

    Parameters
    ----------
    data : bytes
    start, end : int
        Where the frame lies.
    pixels : int
        Rows times Columns: bytes that each segment decodes to.

    Raises
    ------
    Malformed
        If the header of the frame does not fit it.
    """
    if end - start < _HEADER.size:
        raise Malformed("an RLE frame is cut off")
    count, *offsets = _HEADER.unpack_from(data, start)
    used = offsets[:count]
    if not 1 <= count <= len(offsets) or any(offsets[count:]):
        raise Malformed("the header of an RLE frame is damaged")
    bounds = [*used, end - start]
    if bounds[0] < _HEADER.size or any(a >= b for a, b in pairwise(bounds)):
        raise Malformed("the header of an RLE frame is damaged")
    if bounds[0] > _HEADER.size:
        yield start + _HEADER.size, start + bounds[0]
    for first, last in pairwise(bounds):
        at = _end_of_segment(data, start + first, start + last, pixels)
        if at < start + last:
            yield at, start + last


def _end_of_segment(data: bytes, at: int, end: int, pixels: int) -> int:
    """Return where the run ends that makes the last pixel (PS3.5 G.3.2)."""
    made = 0
    while made < pixels and at < end:
        control = data[at]
        if control < _NOTHING:
            made += control + 1
            at += control + 2
        elif control > _NOTHING:
            made += 257 - control
            at += 2
        else:
            at += 1
    return min(at, end)
