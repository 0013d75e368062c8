"""Overlay planes under Clean Graphics: one that shows no text stays, with what a viewer needs to draw it.

A plane is looked at as pixels are. One in which text is found that may tell something of a person, or many strokes that
cannot be read, goes with its whole group; so does one that cannot be looked at. Description, label and comments always
go.

References
----------
DICOM PS3.15 E.3.3 (Clean Graphics Option), PS3.3 C.9.2 (Overlay Plane Module), PS3.5 8.1.2
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from struct import Struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from osler.deidentify.dicom.burned_in.boxes import Box, connected
from osler.deidentify.dicom.burned_in.harmless import known_words
from osler.deidentify.dicom.burned_in.looking import Looker
from osler.deidentify.dicom.burned_in.ocr import TextReader
from osler.deidentify.dicom.forms import is_harmless
from osler.deidentify.dicom.pieces import Piece
from osler.standards.dicom_stream import Kind, Token

_ROWS, _COLUMNS, _TYPE, _ORIGIN, _BITS, _POSITION, _DATA = 0x10, 0x11, 0x40, 0x50, 0x100, 0x102, 0x3000
_FRAMES, _FIRST_FRAME = 0x15, 0x51
_VRS: Final[Mapping[int, str]] = {
    **dict.fromkeys((_ROWS, _COLUMNS, _BITS, _POSITION, _FIRST_FRAME), "US"),
    **{_FRAMES: "IS", _TYPE: "CS", _ORIGIN: "SS"},
    **{0x1301: "IS", 0x1302: "DS", 0x1303: "DS"},  # area, mean and standard deviation of the region of interest
}
"""Elements of an overlay group that stay when their value has the form of their value representation."""

_NEEDED: Final = frozenset({_ROWS, _COLUMNS, _TYPE, _ORIGIN, _BITS, _POSITION, _DATA})
_TYPES: Final = frozenset({b"G", b"R"})
_MOST_PIXELS, _MOST_FRAMES = 1 << 25, 64
_LETTERS: Final = re.compile(rb"[A-Za-z0-9 ^=,.'-]{6,}")
_FEWEST_LETTERS: Final = 4
"""Different characters in a run that make it a text; a pattern of dots repeats few."""
_FEW_STROKES: Final = 4
"""Connected strokes that are a drawing rather than a word, where none of them can be read."""
_US: Final = Struct("<H")


@dataclass(slots=True)
class _Plane:
    """What an overlay group has brought, by element, and where in the output it stands."""

    values: dict[int, bytes] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)


class Overlays:
    """The overlay planes of one instance: taken up while it is walked through, looked at when all of it is known."""

    def __init__(self) -> None:
        self._planes: dict[int, _Plane] = {}

    def takes(self, token: Token, data: bytes, place: int) -> bool:
        """Take up an element of an overlay group, whose value gets that place in the output.

        Returns
        -------
        bool
            Whether the element can go on at all; it is written empty until then.
        """
        group, element = token.tag >> 16, token.tag & 0xFFFF
        if token.kind is not Kind.ELEMENT or token.encoding.big_endian or not 0x6000 <= group <= 0x601E or group % 2:
            return False
        vr, size = _VRS.get(element, ""), token.end - token.value
        if element == _DATA:
            if token.vr not in ("OB", "OW") or size > _MOST_PIXELS * _MOST_FRAMES // 8:
                return False
        elif not vr or token.vr != vr or not is_harmless(token.tag, vr, data[token.value : token.end], most=2):
            return False
        plane = self._planes.setdefault(group, _Plane())
        plane.values[element] = data[token.value : token.end]
        plane.places.append(place)
        return True

    def __bool__(self) -> bool:
        """Whether there is any plane."""
        return bool(self._planes)

    def drop_unsafe(self, pieces: list[Piece], *, reader: TextReader | None, known: Mapping[str, Any]) -> int:
        """Take the planes that may tell who the patient is out of the output, and return how many.

        Parameters
        ----------
        pieces : list of Piece
            The output; elements of planes stand in their places.
        reader : TextReader, optional
            Without one no plane can be looked at, and all go.
        known : mapping
            What the header tells of the patient, as a FHIR Patient.
        """
        dropped = 0
        words = known_words(known)
        for plane in self._planes.values():
            bits = _bits(plane.values)
            if reader is None or bits is None or _shows_text(bits, reader, words):
                dropped += 1
                for place in plane.places:
                    pieces[place] = b""
        return dropped


def _bits(values: Mapping[int, bytes]) -> npt.NDArray[np.uint8] | None:
    """Return the plane, shape (frame, row, column), 0 or 1; None where it has not the form of a plane."""
    if not values.keys() >= _NEEDED or values[_TYPE].strip(b" \0") not in _TYPES:
        return None
    if any(len(values[element]) != _US.size for element in (_ROWS, _COLUMNS, _BITS, _POSITION)):
        return None
    rows, columns, bits, position = (_US.unpack(values[e])[0] for e in (_ROWS, _COLUMNS, _BITS, _POSITION))
    frames = int(values.get(_FRAMES, b"").strip(b" \0") or b"1")
    count = frames * rows * columns
    fits = bits == 1 and not position and rows * columns <= _MOST_PIXELS and 1 <= frames <= _MOST_FRAMES and count > 0
    size = (count + 7) // 8
    if not fits or len(values[_DATA]) != size + size % 2 or _spells(values[_DATA]):
        return None
    unpacked = np.unpackbits(np.frombuffer(values[_DATA], np.uint8), bitorder="little")
    if unpacked[count:].any():
        return None
    return unpacked[:count].reshape(frames, rows, columns)


def _spells(data: bytes) -> bool:
    """Whether bytes that should be a drawing are letters."""
    return any(len(set(run[0])) >= _FEWEST_LETTERS for run in _LETTERS.finditer(data))


def _shows_text(bits: npt.NDArray[np.uint8], reader: TextReader, words: frozenset[str]) -> bool:
    whole = Box(0, 0, bits.shape[1], bits.shape[2])
    for number, frame in enumerate(bits):
        if not frame.any() or frame.all():
            continue
        looker = Looker(reader, words, drawing=_is_of_few_strokes(frame))
        if any(not region.kept for region in looker.look(frame * np.uint8(255), number, whole)):
            return True
    return False


def _is_of_few_strokes(frame: npt.NDArray[np.uint8]) -> bool:
    return len(list(islice(connected(frame.astype(bool)), _FEW_STROKES + 1))) <= _FEW_STROKES
