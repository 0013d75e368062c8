"""The walk: the same elements, in whatever way they are written."""

import io
import itertools
import tracemalloc
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from osler.errors import Malformed
from osler.standards.dicom import open_part10
from osler.standards.dicom_stream import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    FREE_TOKENS,
    IMPLICIT_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Encoding,
    Kind,
    dictionary,
    fragments,
    inflate,
    walk,
)

ENCODINGS = [IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN]


def steps(data: bytes, encoding: Encoding) -> list[tuple[str, str, int]]:
    return [(token.kind.name, f"{token.tag:08X}", token.depth) for token in walk(data, 0, len(data), encoding)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("defined", [True, False])
def test_nested_sequences(encoding: Encoding, defined: bool) -> None:
    leaf = encoding.element(0x00080100, "SH", b"A")
    header = encoding.header
    if defined:
        item = header(ITEM, "", len(leaf)) + leaf
        data = header(0x00081140, "SQ", 2 * len(item)) + item * 2
    else:
        item = header(ITEM, "", UNDEFINED_LENGTH) + leaf + header(ITEM_DELIMITATION, "", 0)
        data = header(0x00081140, "SQ", UNDEFINED_LENGTH) + item * 2 + header(SEQUENCE_DELIMITATION, "", 0)
    data += encoding.element(0x00100020, "LO", b"B")
    inner = [("ITEM", "FFFEE000", 1), ("ELEMENT", "00080100", 1), ("END_OF_ITEM", "FFFEE000", 1)]
    assert steps(data, encoding) == [
        ("SEQUENCE", "00081140", 0),
        *inner,
        *inner,
        ("END_OF_SEQUENCE", "00081140", 0),
        ("ELEMENT", "00100020", 0),
    ]


@pytest.mark.parametrize("length", ["defined", "undefined"])
def test_a_sequence_that_is_written_as_unknown_is_read_in_implicit_vr(length: str) -> None:
    inner = IMPLICIT_LITTLE_ENDIAN
    leaf = inner.element(0x00080100, "SH", b"AB")
    if length == "defined":
        data = EXPLICIT_LITTLE_ENDIAN.header(0x00081140, "UN", 8 + len(leaf)) + inner.header(ITEM, "", len(leaf)) + leaf
    else:
        data = (
            EXPLICIT_LITTLE_ENDIAN.header(0x00091001, "UN", UNDEFINED_LENGTH) + inner.header(ITEM, "", len(leaf)) + leaf
        )
        data += inner.header(SEQUENCE_DELIMITATION, "", 0)
    tokens = list(walk(data, 0, len(data), EXPLICIT_LITTLE_ENDIAN))
    assert [token.kind for token in tokens] == [
        *(Kind.SEQUENCE, Kind.ITEM, Kind.ELEMENT, Kind.END_OF_ITEM, Kind.END_OF_SEQUENCE)
    ]
    assert tokens[2].vr == "SH"
    assert tokens[2].encoding is inner


def test_a_private_element_of_unknown_content_is_passed_over() -> None:
    data = EXPLICIT_LITTLE_ENDIAN.element(0x00091001, "UN", b"\xfe\xff\x00\xe0 no item")
    assert steps(data, EXPLICIT_LITTLE_ENDIAN) == [("ELEMENT", "00091001", 0)]


@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "rtplan.dcm"),
        *("reportsi.dcm", "emri_small_RLE.dcm", "JPEG2000.dcm", "nested_priv_SQ.dcm", "UN_sequence.dcm"),
    ],
)
def test_the_walk_meets_what_pydicom_meets(name: str) -> None:
    content = Path(get_testdata_file(name)).read_bytes()
    encoded = open_part10(content)
    tokens = list(walk(encoded.data, encoded.start, len(encoded.data), encoded.syntax.encoding))
    dataset = pydicom.dcmread(io.BytesIO(content))
    met = [t.tag for t in tokens if t.kind in (Kind.ELEMENT, Kind.FRAGMENTS, Kind.SEQUENCE)]
    assert met == [int(element.tag) for element in dataset.iterall()]
    opened = sum(t.kind in (Kind.SEQUENCE, Kind.ITEM) for t in tokens)
    assert opened == sum(t.kind in (Kind.END_OF_SEQUENCE, Kind.END_OF_ITEM) for t in tokens)
    assert tokens[-1].end == len(encoded.data)
    assert all(one.start <= one.value <= one.end == other.start for one, other in itertools.pairwise(tokens))


def test_fragments_are_found() -> None:
    encoded = open_part10(Path(get_testdata_file("emri_small_RLE.dcm")).read_bytes())
    tokens = walk(encoded.data, encoded.start, len(encoded.data), encoded.syntax.encoding)
    pixels = next(token for token in tokens if token.kind is Kind.FRAGMENTS)
    spans = list(fragments(encoded.data, pixels.value, pixels.end, EXPLICIT_LITTLE_ENDIAN))
    assert len(spans) == 11
    assert pixels.end == spans[-1][1] + 8


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_elements_are_padded_as_their_vr_wants(encoding: Encoding) -> None:
    assert encoding.element(0x00080018, "UI", b"1.2").endswith(b"1.2\0")
    assert encoding.element(0x00100020, "LO", b"abc").endswith(b"abc ")
    assert encoding.element(0x00100020, "LO", b"ab").endswith(b"ab")


def test_the_dictionary_knows_repeating_groups_and_choices() -> None:
    assert dictionary()[0x60020010] == "US"
    assert dictionary()[0x50003000] == "OB or OW"
    assert dictionary()[0x00280106] == "US or SS"
    assert 0x00091001 not in dictionary()


def test_inflate_wants_a_whole_stream() -> None:
    with pytest.raises(Malformed, match="cut off"):
        inflate(b"", 0)
    with pytest.raises(Malformed, match="damaged"):
        inflate(b"\xff" * 20, 0)


def deflated(size: int) -> bytes:
    """Return what inflates to ``size`` zeros."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"".join(machine.compress(bytes(1 << 20)) for _ in range(size >> 20)) + machine.flush()


@pytest.mark.parametrize("size", [70 << 20, 300 << 20])
def test_a_deflate_bomb_is_refused_without_being_held(size: int) -> None:
    bomb = deflated(size)
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="grows past the limit"):
            inflate(bomb, 0)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1 << 20, 5 << 20])
@pytest.mark.parametrize("padding", [b"", b"\0"])
def test_what_is_legal_inflates_whole(size: int, padding: bytes) -> None:
    assert inflate(b"ab" + deflated(size) + padding, 2) == bytes(size)
    with pytest.raises(Malformed, match="cut off"):
        inflate(deflated(size)[:-1], 0)


def test_a_flood_of_items_is_refused() -> None:
    header = EXPLICIT_LITTLE_ENDIAN.header
    count = FREE_TOKENS
    data = header(0x00081140, "SQ", 8 * count) + header(ITEM, "", 0) * count
    met: list[int] = []
    with pytest.raises(Malformed, match="too many elements"):
        met.extend(token.tag for token in walk(data, 0, len(data), EXPLICIT_LITTLE_ENDIAN))


def test_thousands_of_frames_are_not_a_flood() -> None:
    """Five thousand frames with fifty elements each in ten sequences, and 64 x 64 pixels."""
    encoding = EXPLICIT_LITTLE_ENDIAN
    leaves = b"".join(encoding.element(0x00189000 + n, "FD", bytes(8)) for n in range(5))
    item = encoding.header(ITEM, "", len(leaves)) + leaves
    macros = b"".join(encoding.header(0x00209100 + n, "SQ", len(item)) + item for n in range(10))
    frame = encoding.header(ITEM, "", len(macros)) + macros
    data = encoding.header(0x52009230, "SQ", 5000 * len(frame)) + frame * 5000
    data += encoding.element(0x7FE00010, "OW", bytes(5000 * 64 * 64 * 2))
    kinds = [token.kind for token in walk(data, 0, len(data), encoding)]
    assert kinds.count(Kind.ELEMENT) == 5000 * 50 + 1
