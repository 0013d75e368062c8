"""Walk over an encoded DICOM dataset without decoding it.

The walk is flat (a stack, no recursion) and bounded: every declared length must lie inside what encloses it, nesting
stops at :data:`MAX_DEPTH`, and nothing is copied. It yields where each element begins and ends, so that a caller can
copy what it keeps as it stands and never touch the pixels.

References
----------
DICOM PS3.5 section 7 (the data set), annex A (transfer syntaxes), section 6.2.2 (UN, after CP-246)
"""

import enum
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import NamedTuple

from osler.errors import Malformed

MAX_DEPTH = 64
FREE_TOKENS = 150_000
BYTES_PER_TOKEN = 48
MAX_TOKENS = 4_000_000
MAX_INFLATED_BYTES = 1 << 28
FREE_INFLATED_BYTES = 64 << 20
MAX_INFLATE_RATIO = 200
INFLATE_STEP_BYTES = 1 << 20
INFLATE_SLICE_BYTES = 1 << 16
UNDEFINED_LENGTH = 0xFFFFFFFF

ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

SHORT_FORM: Mapping[bytes, str] = {
    code.encode(): code
    for code in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
}
"""Value representations with a two-byte length (PS3.5 table 7.1-2); all others, future ones too, have four bytes."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the elements of a dataset are written: explicit or implicit VR, and the byte order.

    Parameters
    ----------
    explicit, big_endian : bool
    implicit_header, explicit_header, length : Struct
    item, end_of_item, end_of_sequence : bytes
        The headers of an item of undefined length and of the delimiters (PS3.5 7.5), made once.
    """

    explicit: bool
    big_endian: bool
    implicit_header: Struct
    explicit_header: Struct
    length: Struct
    item: bytes
    end_of_item: bytes
    end_of_sequence: bytes

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Encode the header of an element; ``vr`` counts only in explicit VR."""
        group, element = tag >> 16, tag & 0xFFFF
        if not self.explicit or group == 0xFFFE:
            return self.implicit_header.pack(group, element, length)
        code = vr.encode("ascii")
        if code in SHORT_FORM:
            return self.explicit_header.pack(group, element, code, length)
        return self.explicit_header.pack(group, element, code, 0) + self.length.pack(length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """Encode an element; ``value`` is padded to an even length (PS3.5 6.2)."""
        if len(value) % 2:
            value += b"\0" if vr in ("UI", "OB", "UN") else b" "
        return self.header(tag, vr, len(value)) + value


def _encoding(order: str, *, explicit: bool) -> Encoding:
    implicit_header = Struct(order + "HHI")
    markers = (
        implicit_header.pack(tag >> 16, tag & 0xFFFF, length)
        for tag, length in ((ITEM, UNDEFINED_LENGTH), (ITEM_DELIMITATION, 0), (SEQUENCE_DELIMITATION, 0))
    )
    return Encoding(explicit, order == ">", implicit_header, Struct(order + "HH2sH"), Struct(order + "I"), *markers)


IMPLICIT_LITTLE_ENDIAN = _encoding("<", explicit=False)
EXPLICIT_LITTLE_ENDIAN = _encoding("<", explicit=True)
EXPLICIT_BIG_ENDIAN = _encoding(">", explicit=True)


class Kind(enum.IntEnum):
    """What a token of the walk stands for."""

    ELEMENT = 0
    FRAGMENTS = 1
    SEQUENCE = 2
    ITEM = 3
    END_OF_ITEM = 4
    END_OF_SEQUENCE = 5


class Token(NamedTuple):
    """One step of the walk.

    Parameters
    ----------
    kind : Kind
        ``ELEMENT`` has a value of known length. ``FRAGMENTS`` is encapsulated pixel data: its value is the items with
        the sequence delimiter. The other kinds open and close sequences and items.
    tag : int
    vr : str
        As written, or in implicit VR the first that the dictionary allows (``"UN"`` when it has none). Empty for items.
    start, value, end : int
        Offsets of the header, of the value and of what follows. For kinds that open, ``value == end``.
    depth : int
        Number of sequences around it; a sequence itself has the depth of its siblings.
    encoding : Encoding
        How the header is written; for ``END_OF_SEQUENCE`` how its items were.
    """

    kind: Kind
    tag: int
    vr: str
    start: int
    value: int
    end: int
    depth: int
    encoding: Encoding


@dataclass(slots=True)
class _Level:
    """An open sequence or item; the dataset counts as an item. ``end`` is the end when ``defined``, else a bound."""

    kind: Kind
    tag: int
    end: int
    defined: bool
    encoding: Encoding
    previous: int = -1


@cache
def dictionary() -> Mapping[int, str]:
    """Return the VR of each public attribute, by tag (PS3.6), repeating groups 50xx and 60xx included.

    Where the standard leaves a choice, all are given as there: ``"US or SS"``.
    """
    from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

    entries = {tag: entry[0] for tag, entry in DicomDictionary.items() if entry[0] != "NONE"}
    for mask, entry in RepeatersDictionary.items():
        if mask[:4] in ("50xx", "60xx"):
            first = int(mask[:2] + "00" + mask[4:], 16)
            entries.update((first + (repeat << 16), entry[0]) for repeat in range(0, 0x20, 2))
    return entries


def inflate(data: bytes, start: int) -> bytes:
    """Inflate the dataset of the Deflated Explicit VR Little Endian transfer syntax, with a bound.

    Parameters
    ----------
    data : bytes
    start : int
        Where the raw deflate stream (RFC 1951) begins.

    Raises
    ------
    Malformed
        If the stream is damaged, incomplete, or grows past the bound: 256 MiB, or 200 times its size once over 64 MiB.
    """
    compressed = memoryview(data)[start:]
    try:
        size = _inflated_size(compressed)
        return zlib.decompress(compressed, -zlib.MAX_WBITS, size) if size else b""
    except zlib.error:
        raise Malformed("the deflated dataset is damaged") from None


def _inflated_size(compressed: memoryview) -> int:
    """Count what a stream inflates to without holding it, so that what is too large is never held."""
    limit = min(MAX_INFLATED_BYTES, max(FREE_INFLATED_BYTES, MAX_INFLATE_RATIO * len(compressed)))
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    for at in range(0, len(compressed), INFLATE_SLICE_BYTES):
        waiting: bytes | memoryview = compressed[at : at + INFLATE_SLICE_BYTES]
        while True:
            step = len(machine.decompress(waiting, INFLATE_STEP_BYTES))
            size += step
            if size > limit:
                raise Malformed("the deflated dataset grows past the limit")
            if machine.eof:
                return size
            waiting = machine.unconsumed_tail
            if step < INFLATE_STEP_BYTES and not waiting:
                break
    raise Malformed("the deflated dataset is cut off")


def read_header(data: bytes, at: int, end: int, encoding: Encoding) -> tuple[int, str, int, int]:
    """Read the header of the element at ``at``.

    Returns
    -------
    tag : int
    vr : str
        Empty for items and delimiters; in implicit VR the first that the dictionary allows, ``"UN"`` when it has none.
    value : int
        Offset of the value.
    length : int
        As declared; :data:`UNDEFINED_LENGTH` is possible. It is not checked here.

    Raises
    ------
    Malformed
        If the header does not fit before ``end`` or its VR is not one.
    """
    if end - at < 8:
        raise Malformed("an element header is cut off")
    if not encoding.explicit:
        group, number, length = encoding.implicit_header.unpack_from(data, at)
        tag = group << 16 | number
        return tag, "" if group == 0xFFFE else _vr_in_dictionary(tag), at + 8, length
    group, number, code, length = encoding.explicit_header.unpack_from(data, at)
    vr = SHORT_FORM.get(code)
    if vr is not None:
        return group << 16 | number, vr, at + 8, length
    if group == 0xFFFE:
        return group << 16 | number, "", at + 8, encoding.length.unpack_from(data, at + 4)[0]
    if end - at < 12 or not (code.isalpha() and code.isupper()):
        raise Malformed("an element header is cut off or has no value representation")
    return group << 16 | number, code.decode("ascii"), at + 12, encoding.length.unpack_from(data, at + 8)[0]


def _vr_in_dictionary(tag: int) -> str:
    return dictionary().get(tag, "UN")[:2] if tag & 0xFFFF else "UL"


def walk(data: bytes, start: int, end: int, encoding: Encoding) -> Iterator[Token]:
    """Walk over the dataset in ``data[start:end]``.

    Yields
    ------
    Token

    Raises
    ------
    Malformed
        At the first length that points outside what encloses it, at nesting deeper than :data:`MAX_DEPTH`, at an item
        or delimiter where none belongs, at elements of one level that do not ascend (PS3.5 7.1), and at more tokens
        than :data:`FREE_TOKENS` with one for each :data:`BYTES_PER_TOKEN` of the dataset, or :data:`MAX_TOKENS`.
    """
    levels = [_Level(Kind.ITEM, 0, end, True, encoding)]
    at = start
    for _ in range(min(MAX_TOKENS, FREE_TOKENS + (end - start) // BYTES_PER_TOKEN)):
        level = levels[-1]
        if at == level.end and level.defined:
            if len(levels) == 1:
                return
            yield _close(levels, at, at)
            continue
        header = read_header(data, at, level.end, level.encoding)
        tag = header[0]
        if header[1] == "":
            token = _item_or_delimiter(levels, at, header)
        elif level.kind is Kind.SEQUENCE:
            raise Malformed("something other than an item is in a sequence")
        elif tag <= level.previous:
            raise Malformed("elements do not ascend")
        else:
            level.previous = tag
            token = _element(data, levels, at, header)
        yield token
        at = token.end
    raise Malformed("there are too many elements")


def _item_or_delimiter(levels: list[_Level], at: int, header: tuple[int, str, int, int]) -> Token:
    tag, _, value, length = header
    level = levels[-1]
    if tag == ITEM and level.kind is Kind.SEQUENCE:
        token = Token(Kind.ITEM, tag, "", at, value, value, len(levels) >> 1, level.encoding)
        _open(levels, _Level(Kind.ITEM, tag, value, True, level.encoding), length)
        return token
    expected = ITEM_DELIMITATION if level.kind is Kind.ITEM else SEQUENCE_DELIMITATION
    if tag != expected or level.defined or length:
        raise Malformed("an item or a delimiter stands where none belongs")
    return _close(levels, at, value)


def _close(levels: list[_Level], at: int, end: int) -> Token:
    level = levels.pop()
    kind = Kind.END_OF_ITEM if level.kind is Kind.ITEM else Kind.END_OF_SEQUENCE
    return Token(kind, level.tag, "", at, end, end, len(levels) >> 1, level.encoding)


def _element(data: bytes, levels: list[_Level], at: int, header: tuple[int, str, int, int]) -> Token:
    tag, vr, value, length = header
    level = levels[-1]
    encoding = level.encoding
    depth = len(levels) >> 1
    if vr == "SQ" or _holds_items(tag, vr, length, encoding):
        inner = encoding if vr == "SQ" else IMPLICIT_LITTLE_ENDIAN
        _open(levels, _Level(Kind.SEQUENCE, tag, value, True, inner), length)
        return Token(Kind.SEQUENCE, tag, vr, at, value, value, depth, encoding)
    if length == UNDEFINED_LENGTH:
        if vr not in ("OB", "OW"):
            raise Malformed("an undefined length stands where none is allowed")
        end = end_of_fragments(data, value, level.end, encoding)
        return Token(Kind.FRAGMENTS, tag, vr, at, value, end, depth, encoding)
    end = value + length
    if end > level.end:
        raise Malformed("an element is longer than what encloses it")
    return Token(Kind.ELEMENT, tag, vr, at, value, end, depth, encoding)


def _holds_items(tag: int, vr: str, length: int, encoding: Encoding) -> bool:
    """Whether an element without the VR SQ is a sequence in implicit VR (PS3.5 6.2.2 and 7.1.3, notes on CP-246)."""
    if vr == "UN":
        return length == UNDEFINED_LENGTH or dictionary().get(tag) == "SQ"
    return length == UNDEFINED_LENGTH and not encoding.explicit


def _open(levels: list[_Level], level: _Level, length: int) -> None:
    """Open a level whose ``end`` is still where its content begins."""
    if len(levels) > 2 * MAX_DEPTH:
        raise Malformed("sequences are nested too deep")
    bound = levels[-1].end
    if length == UNDEFINED_LENGTH:
        level.end, level.defined = bound, False
    else:
        level.end += length
    if level.end > bound:
        raise Malformed("a sequence or an item is longer than what encloses it")
    levels.append(level)


def fragments(data: bytes, value: int, end: int, encoding: Encoding) -> Iterator[tuple[int, int]]:
    """Yield where each item of encapsulated pixel data begins and ends, the Basic Offset Table first (PS3.5 A.4).

    Raises
    ------
    Malformed
        If an item does not fit before ``end``, or the delimiter is missing.
    """
    at = value
    while True:
        tag, _, start, length = read_header(data, at, end, encoding)
        if tag == SEQUENCE_DELIMITATION and not length:
            return
        if tag != ITEM or length > end - start:
            raise Malformed("encapsulated pixel data is damaged")
        at = start + length
        yield start, at


def end_of_fragments(data: bytes, value: int, end: int, encoding: Encoding) -> int:
    """Return the offset after the delimiter of encapsulated pixel data."""
    return max((stop for _, stop in fragments(data, value, end, encoding)), default=value) + 8
