"""Pass the pixel data on: untouched and undecoded, without what is not pixels."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice, pairwise
from struct import Struct

import numpy as np
import numpy.typing as npt

from osler.deidentify.dicom.codestream import metadata_spans
from osler.deidentify.dicom.mapped import let_go, passed_over
from osler.deidentify.dicom.pieces import Made, Part
from osler.deidentify.dicom.run_length import idle_spans
from osler.errors import DeidentificationRefused, Malformed
from osler.standards.dicom import EncodedDataset, Pixels
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN, Kind, Token, fragments

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
BITS_STORED = 0x00280101
HIGH_BIT = 0x00280102
PIXEL_REPRESENTATION = 0x00280103
READ = frozenset(
    {
        *(SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, NUMBER_OF_FRAMES, ROWS, COLUMNS),
        *(BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION),
    }
)
"""Attributes of the dataset that :func:`pixel_data` looks at."""

_BEGINNINGS = {Pixels.JPEG: b"\xff\xd8\xff", Pixels.JPEG_LS: b"\xff\xd8\xff", Pixels.JPEG_2000: b"\xff\x4f\xff\x51"}
_OFFSET = Struct("<I")
_CHUNK_BYTES = 1 << 20
_MOST_FRAGMENTS = 500_000
_NOTHING = bytes(1 << 20)


def pixel_data(dataset: EncodedDataset, token: Token, values: Mapping[int, bytes]) -> Iterator[Part]:
    """Yield the element Pixel Data (7FE0,0010) in pieces, as views of the input wherever nothing changes.

    What native pixel data has beyond the size that the header gives is cut off, and what stands beside the stored bits,
    as retired overlays do (PS3.5 8.1.2), is cleared. In compressed frames comments, application data and what follows
    the end are blanked. Data shorter than the header says is passed on as it is.

    Parameters
    ----------
    dataset : EncodedDataset
    token : Token
        Of the element, a ``FRAGMENTS``, whose end need not be known, or an ``ELEMENT``.
    values : mapping of tag to raw value
        Attributes of :data:`READ`.

    Raises
    ------
    Malformed
        If the pixel data does not have the form that the transfer syntax demands.
    DeidentificationRefused
        If a compressed frame does not begin as its transfer syntax demands, so that nothing is known of it.
    """
    if (token.kind is Kind.FRAGMENTS) != (dataset.syntax.pixels is not Pixels.NATIVE):
        raise Malformed("pixel data does not have the form of its transfer syntax")
    view = memoryview(dataset.data)
    if token.kind is Kind.FRAGMENTS:
        yield view[token.start : token.value]
        yield from _fragments(dataset, token, view, _number(values, ROWS) * _number(values, COLUMNS))
        return
    size = native_bytes(values, big_endian=token.encoding.big_endian)
    length = token.end - token.value
    kept = size if 0 < size < length else length
    if kept == length:
        yield view[token.start : token.value]
    else:
        yield token.encoding.header(token.tag, token.vr, kept + kept % 2)
    pixels = view[token.value : token.value + kept]
    yield Made(partial(_stored_bits, pixels, values, big_endian=token.encoding.big_endian))
    if kept != length:
        yield b"\0" * (kept % 2)


def native_bytes(values: Mapping[int, bytes], *, big_endian: bool) -> int:
    """Return how many bytes native pixel data has by its header (PS3.5 8.1.1), 0 when the header does not say."""
    text = values.get(NUMBER_OF_FRAMES, b"").strip(b" \0")
    frames = int(text) if text.isdigit() and len(text) <= 12 else 1
    bits = frames
    for tag in (ROWS, COLUMNS, SAMPLES_PER_PIXEL, BITS_ALLOCATED):
        bits *= _number(values, tag, big_endian=big_endian)
    if values.get(PHOTOMETRIC_INTERPRETATION, b"").strip(b" \0") == b"YBR_FULL_422":
        bits = bits * 2 // 3
    return (bits + 7) // 8


def _number(values: Mapping[int, bytes], tag: int, *, big_endian: bool = False) -> int:
    return int.from_bytes(values.get(tag, b""), "big" if big_endian else "little")


def _stored_bits(view: memoryview, values: Mapping[int, bytes], *, big_endian: bool) -> Iterator[bytes | memoryview]:
    """Yield native pixels without what stands beside the stored bits; of signed ones the sign may be extended."""
    allocated, stored, high, signed = (
        _number(values, tag, big_endian=big_endian)
        for tag in (BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION)
    )
    fits = 0 < stored <= high + 1 <= allocated and stored < allocated and len(view) % (allocated // 8 or 1) == 0
    if allocated not in (8, 16, 32) or not fits or (big_endian and allocated == 8):
        yield view
        return
    of_pixel = np.dtype(f"{'>' if big_endian else '<'}u{allocated // 8}")
    above = (1 << allocated) - (1 << high + 1)
    inside = (1 << high + 1) - (1 << high + 1 - stored)
    sign = 1 << high if signed else 0
    outside = np.array([~inside % (1 << allocated)] * (64 // allocated), of_pixel).view("<u8")[0]
    for start in range(0, len(view), _CHUNK_BYTES):
        let_go(view.obj)
        part = view[start : start + _CHUNK_BYTES]
        if _is_clear(part, outside):
            yield part
            continue
        chunk = np.frombuffer(part, of_pixel)
        if signed and stored == high + 1 and _is_extended(chunk, high):
            yield part
            continue
        extended = np.where(chunk & sign, above, 0) if signed else 0
        beside = chunk & ~np.array(inside, chunk.dtype)
        if np.all((beside == 0) | (beside == extended)):
            yield part
        else:
            yield (chunk & inside | extended).astype(chunk.dtype).tobytes()


def _is_clear(part: memoryview, outside: np.uint64) -> bool:
    """Whether no bit of ``outside``, that repeats every eight bytes, is set."""
    whole = len(part) // 8 * 8
    rest = np.uint64(int.from_bytes(part[whole:], "little"))
    return not (np.bitwise_or.reduce(np.frombuffer(part[:whole], "<u8")) | rest) & outside


def _is_extended(chunk: npt.NDArray[np.unsignedinteger], high: int) -> bool:
    """Whether above the sign, that is the bit ``high``, there are copies of it or zeros, in each pixel."""
    numbers = chunk.view(chunk.dtype.str.replace("u", "i"))
    return bool(numbers.min() >= -(1 << high) and numbers.max() < 1 << high + 1)


def _fragments(dataset: EncodedDataset, token: Token, view: memoryview, size: int) -> Iterator[bytes | memoryview]:
    found = fragments(dataset.data, token.value, token.end, EXPLICIT_LITTLE_ENDIAN)
    items = list(islice(passed_over(found, dataset.data), _MOST_FRAGMENTS))
    if not items:
        raise Malformed("encapsulated pixel data has no offset table")
    if len(items) == _MOST_FRAGMENTS:
        raise Malformed("there are too many fragments")
    end = items[-1][1] + len(EXPLICIT_LITTLE_ENDIAN.end_of_sequence)
    _check_offset_table(dataset.data, *items[0], end - items[0][1])
    at = token.value
    for start, stop in _blanks(dataset.data, items[1:], dataset.syntax.pixels, size):
        yield view[at:start]
        for blanked in range(start, stop, len(_NOTHING)):
            yield memoryview(_NOTHING)[: stop - blanked]
        at = stop
    yield view[at:end]
    let_go(dataset.data)


def _blanks(data: bytes, items: list[tuple[int, int]], kind: Pixels, size: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of all frames that are to be blanked; a frame may be spread over several fragments.

    A frame of RLE may not be spread (PS3.5 A.4.2).
    """
    if kind is Pixels.RLE and size:
        for start, end in passed_over(items, data):
            yield from idle_spans(data, start, end, pixels=size)
        return
    beginning = _BEGINNINGS.get(kind)
    if beginning is None:
        return
    frames: list[list[tuple[int, int]]] = []
    for start, end in passed_over(items, data):
        if data[start : min(start + len(beginning), end)] == beginning:
            frames.append([(start, end)])
        elif frames:
            frames[-1].append((start, end))
        else:
            raise DeidentificationRefused(
                "codestream", "a compressed frame does not begin as its transfer syntax demands"
            )
    whole = passed_over(((frame[0][0], frame[-1][1]) for frame in frames), data)
    for frame, _ in zip(frames, whole, strict=True):
        if len(frame) == 1:
            yield from metadata_spans(data, *frame[0], kind)
        else:
            joined = b"".join(data[start:end] for start, end in frame)
            for span in metadata_spans(joined, 0, len(joined), kind):
                yield from _in_fragments(span, frame)


def _in_fragments(span: tuple[int, int], frame: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Map a span of a joined frame back to the fragments that it came from."""
    offset = 0
    for start, end in frame:
        begin = max(span[0], offset)
        stop = min(span[1], offset + end - start)
        if begin < stop:
            yield start + begin - offset, start + stop - offset
        offset += end - start


def _check_offset_table(data: bytes, start: int, end: int, room: int) -> None:
    """Refuse a Basic Offset Table that is something else (PS3.5 A.4): it must ascend from 0 within the fragments."""
    if (end - start) % 4:
        raise Malformed("the Basic Offset Table is damaged")
    offsets = [offset for (offset,) in _OFFSET.iter_unpack(data[start:end])]
    if offsets and (offsets[0] or offsets[-1] >= room or any(a >= b for a, b in pairwise(offsets))):
        raise Malformed("the Basic Offset Table is damaged")
