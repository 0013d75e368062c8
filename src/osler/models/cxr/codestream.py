"""Size of the image inside a compressed frame, read from its markers before anything is decoded.

A codec allocates what the codestream claims, not what Rows and Columns say; comparing the two first keeps memory
bounded.
"""

import struct
from typing import Final

JPEG_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""SOF0 to SOF15 without DHT, JPG and DAC (ITU-T T.81 table B.1), and JPEG-LS' SOF55 (ITU-T T.87 annex C)."""


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 codestream claims.

    Parameters
    ----------
    frame : bytes
        One encapsulated frame (PS3.5 A.4).

    Returns
    -------
    (int, int) or None
        Rows, columns; None when there is no such header.
    """
    try:
        if frame[4:8] == b"jP  ":  # a JP2 file around the codestream, which the standard forbids and some writers make
            frame = frame[frame.index(b"\xff\x4f\xff\x51") :]
        if frame[:4] == b"\xff\x4f\xff\x51":
            return _jpeg2000_size(frame)
        return _jpeg_size(frame) if frame[:2] == b"\xff\xd8" else None
    except (struct.error, ValueError, IndexError):
        return None


def _jpeg2000_size(frame: bytes) -> tuple[int, int]:
    """SIZ marker: the reference grid less the image offset (ITU-T T.800 A.5.1)."""
    width, height, left, top = struct.unpack_from(">4I", frame, 8)
    return height - top, width - left


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Walk the marker segments up to the frame header (ITU-T T.81 B.1.1 and B.2.2)."""
    at = 2
    while at < len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in JPEG_START_OF_FRAME:
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return rows, columns
        else:
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None
