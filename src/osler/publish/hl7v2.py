"""What every HL7 v2 message of ours is written with: its header, its times, and text that strict receivers take.

References
----------
HL7 v2.5.1, 2.15.9 (MSH), 2.7 (escapes), 2.A.76 (TX)
"""

import datetime
from collections.abc import Iterator
from typing import Final

from osler.publish.note.characters import printable
from osler.standards.hl7v2 import Delimiters, Segment

MARKS: Final = Delimiters()
_LONGEST: Final = 199
"""Characters of a text value that strict receivers take."""


def msh(kind: str, control_id: str, *, sender: tuple[str, str], receiver: tuple[str, str], now: float) -> Segment:
    """Build the header of a message that wants an acknowledgement always.

    Parameters
    ----------
    kind : str
        MSH-9.
    control_id : str
    sender, receiver : (str, str)
        Application and facility.
    now : float
        Seconds since the epoch, UTC.
    """
    names = map(escaped, (*sender, *receiver))
    fields = ["|", "^~\\&", *names, moment(now), "", kind, escaped(control_id), "P", "2.5.1"]
    return Segment("MSH", (*fields, "", "", "AL", "NE", "", "UNICODE UTF-8"))


def joined(*components: str) -> str:
    """Return a field of components, escaped."""
    return "^".join(map(escaped, components)).rstrip("^")


def escaped(text: str) -> str:
    """Return a text as it may stand in a message."""
    return MARKS.escaped(printable(text))


def moment(seconds: float) -> str:
    """Return a time stamp (TS)."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).strftime("%Y%m%d%H%M%S+0000")


def pieces(line: str) -> Iterator[str]:
    """Yield a line in escaped pieces that every receiver takes, broken between words."""
    piece = ""
    for word in line.split():
        for part in _short(word):
            if piece and len(piece) + 1 + len(part) > _LONGEST:
                yield piece
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece


def _short(word: str) -> Iterator[str]:
    """Yield a word, escaped; one that is too long in parts, no escape sequence broken."""
    part = ""
    for character in map(escaped, word):
        if len(part) + len(character) > _LONGEST:
            yield part
            part = ""
        part += character
    yield part
