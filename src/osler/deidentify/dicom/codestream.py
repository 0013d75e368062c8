"""Find what is not picture in a compressed frame, without decoding it.

A JPEG, JPEG-LS or JPEG 2000 codestream may carry comments and application data, and anything may follow its end. These
spans are blanked in place: no length and no offset changes, and decoders ignore what they hold.

References
----------
ITU-T T.81 annex B (JPEG), T.87 annex C (JPEG-LS), T.800 annex A (JPEG 2000); DICOM PS3.5 annex A.4
"""

import re
from collections.abc import Iterator
from struct import Struct

from osler.errors import Malformed
from osler.standards.dicom import Pixels

_LENGTH = Struct(">H")
_TILE_LENGTH = Struct(">I")
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_SOC, _SOT, _SOD, _CME = 0x4F, 0x90, 0x93, 0x64
_NEXT_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_NEXT_MARKER_LS = re.compile(rb"\xff([\x80-\xcf\xd8-\xfe])")
_STANDALONE = frozenset({0x01, _SOI, *range(0xD0, 0xD8)})
_HARMLESS = {
    0xE0: re.compile(rb"JFIF\0.{7}\0\0", re.DOTALL),  # without a thumbnail
    0xE8: re.compile(rb"mrfx.{3}", re.DOTALL),  # colour transform of JPEG-LS
    0xEE: re.compile(rb"Adobe(?:\0{5}|\0[\x64\x65].{4}[\0-\x02])", re.DOTALL),  # colour transform of JPEG
    _CME: re.compile(  # names of encoders
        rb"\0\x01(?:Kakadu-v?[0-9.]+|Creator: JasPer Version [0-9.]+|Created by (?:GDCM/)?OpenJPEG version [0-9.]+)"
    ),
}
"""What a segment may hold and keep, by its marker: figures that a decoder needs, and no text of a person."""


def metadata_spans(data: bytes, start: int, end: int, pixels: Pixels) -> Iterator[tuple[int, int]]:
    """Yield the spans of one frame that are to be blanked, in ascending order.

    Parameters
    ----------
    data : bytes
    start, end : int
        A whole frame, from its first marker to its padding.
    pixels : Pixels

    Raises
    ------
    Malformed
        If the markers of the codestream do not fit together.
    """
    if pixels is Pixels.JPEG_2000:
        yield from _jpeg_2000(data, start, end)
    elif pixels in (Pixels.JPEG, Pixels.JPEG_LS):
        yield from _jpeg(data, start, end, _NEXT_MARKER_LS if pixels is Pixels.JPEG_LS else _NEXT_MARKER)


def _jpeg(data: bytes, start: int, end: int, next_marker: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    """Walk from marker to marker, passing over coded data."""
    at = start
    while found := next_marker.search(data, at, end):
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            yield from _after_the_end(at, end)
            return
        if marker in _STANDALONE:
            continue
        stop = _end_of_segment(data, at, end)
        if marker == _COM or 0xE0 <= marker <= 0xEF:
            yield from _unless_harmless(data, at + 2, stop, marker)
        at = stop


def _unless_harmless(data: bytes, at: int, stop: int, marker: int) -> Iterator[tuple[int, int]]:
    harmless = _HARMLESS.get(marker)
    if harmless is None or not harmless.fullmatch(data, at, stop):
        yield at, stop


def _after_the_end(at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what follows the end; one byte there pads the frame to an even length and says nothing."""
    if end - at > 1:
        yield at, end


def _end_of_segment(data: bytes, at: int, end: int) -> int:
    """Return the end of the segment whose length stands at ``at``."""
    if at + 2 > end:
        raise Malformed("a codestream is cut off in a marker segment")
    stop = at + int(_LENGTH.unpack_from(data, at)[0])
    if stop < at + 2 or stop > end:
        raise Malformed("a codestream is cut off in a marker segment")
    return stop


def _jpeg_2000(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Walk over the main header and the header of each tile-part; the length of a tile-part leads to the next.

    ``tile`` is where the present tile-part ends; 0, as in its header, says that it reaches up to the end of the frame.
    """
    at, tile = start + 2, 0
    while data[at : at + 2] != b"\xff\xd9":
        if at + 4 > end or data[at] != 0xFF:
            raise Malformed("a codestream is cut off or damaged")
        marker, at = data[at + 1], at + 2
        if marker == _SOD:
            if not tile:
                return
            at = tile
            continue
        stop = _end_of_segment(data, at, end)
        if marker == _SOT:
            length = int(_TILE_LENGTH.unpack_from(data, at + 4)[0]) if stop == at + 10 else 1
            tile = at - 2 + length if length else 0
            if length and not stop < tile <= end:
                raise Malformed("a tile-part is longer than its codestream")
        elif marker == _CME:
            yield from _unless_harmless(data, at + 2, stop, marker)
        at = stop
    yield from _after_the_end(at + 2, end)
