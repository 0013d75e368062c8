"""The grammar of multipart bodies (RFC 2046 5.1.1), and what hostile ones come to."""

import contextlib
import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import Malformed, TooLarge
from osler.ingest.multipart import BodyLimits, Multipart, parse_content_type

HEADERS = b"Content-Type: application/dicom\r\n\r\n"


def body(*contents: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"\r\n--" + boundary + b"\r\n" + HEADERS + c for c in contents) + b"\r\n--" + boundary + b"--\r\n"


def parts(*chunks: bytes, boundary: str = "b", limits: BodyLimits | None = None) -> list[bytes]:
    parser = Multipart(boundary, limits or BodyLimits())
    found = [part for chunk in chunks for part in parser.feed(chunk)]
    parser.finish()
    return found


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (body(b"one"), [b"one"]),
        (body(b"one", b"two"), [b"one", b"two"]),
        (body(b"one")[2:], [b"one"]),  # no preamble
        (b"a preamble\r\nof two lines" + body(b"one"), [b"one"]),
        (body(b"one") + b"an epilogue\r\n--b\r\n\r\nthat looks like a part\r\n--b--", [b"one"]),
        (body(b"one")[:-2], [b"one"]),  # no line end at the end
        (body(b""), [b""]),
        (body(b"\r\n"), [b"\r\n"]),
        (body(b"x--b"), [b"x--b"]),  # not at the start of a line
        (body(b"\r\n--a\r\n--"), [b"\r\n--a\r\n--"]),
        (b"--b\r\n\r\nno headers\r\n--b--", [b"no headers"]),
        (b"--b\r\nX: y\r\n\r\n--b--", [b""]),  # no content: the blank line opens the delimiter
        (b"--b \t \r\n\r\npadding\r\n--b-- \r\n", [b"padding"]),
        (b"--b--", []),
    ],
)
def test_what_the_grammar_says(encoded: bytes, expected: list[bytes]) -> None:
    assert parts(encoded) == expected


@given(st.lists(st.binary(max_size=80), max_size=4), st.data())
def test_the_parts_are_the_same_however_the_body_is_cut(contents: list[bytes], data: st.DataObject) -> None:
    contents = [content.replace(b"--b", b"") for content in contents]
    encoded = body(*contents)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=8))), len(encoded)]
    chunks = [encoded[start:end] for start, end in itertools.pairwise(cuts)]
    assert parts(*chunks) == contents
    assert parts(*(encoded[i : i + 1] for i in range(len(encoded)))) == contents


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n--b", b"\r\n\r\n", b"--b\r\n", b"--"]), max_size=12))
def test_no_bytes_make_the_parser_fail_otherwise(chunks: list[bytes]) -> None:
    with contextlib.suppress(Malformed):
        parts(*chunks)


@pytest.mark.parametrize("boundary", ["", " ", "b ", "b" * 71, "b\r\nb", "b\0", "böse", 'b"'])
def test_a_boundary_that_is_none_is_malformed(boundary: str) -> None:
    with pytest.raises(Malformed):
        Multipart(boundary, BodyLimits())


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"no boundary at all",
        body(b"one")[:-7],  # cut inside the content
        body(b"one")[:-4],  # cut inside the closing boundary
        b"--b\r\nX: y",
        b"--bb\r\n\r\nof another\r\n--bb--",
        b"--b-\r\n\r\none\r\n--b--",
        b"--b" + b" " * 300 + b"\r\n\r\none\r\n--b--",
        b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\none\r\n--b--",
        b"--b\r\nX: " + b"y" * 100_000,
    ],
)
def test_a_broken_body_is_malformed(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        parts(encoded)


@pytest.mark.parametrize(
    ("limits", "encoded"),
    [
        (BodyLimits(part_bytes=10), body(b"1234567890x")),
        (BodyLimits(total_bytes=20), body(b"1234567890x")),
        (BodyLimits(parts=2), body(b"1", b"2", b"3")),
    ],
)
def test_a_limit_is_a_limit(limits: BodyLimits, encoded: bytes) -> None:
    with pytest.raises(TooLarge) as refused:
        parts(encoded, limits=limits)
    assert refused.value.http_status == 413


def test_what_is_just_within_the_limits_passes() -> None:
    encoded = body(b"1234567890", b"2")
    assert parts(encoded, limits=BodyLimits(10, len(encoded), 2)) == [b"1234567890", b"2"]


def test_a_million_tiny_parts_end_at_the_limit() -> None:
    parser = Multipart("b", BodyLimits())
    chunk = b"\r\n--b\r\n\r\n" * 1000
    for _ in range(9):
        assert set(parser.feed(chunk)) == {b""}
    with pytest.raises(TooLarge, match="parts"):
        list(itertools.chain.from_iterable(parser.feed(chunk) for _ in range(991)))


def test_memory_is_bounded_by_one_part() -> None:
    parser = Multipart("b", BodyLimits())
    tracemalloc.start()
    try:
        for chunk in [b"preamble" * 8192] * 500 + [b"\r\n--b"]:
            assert list(parser.feed(chunk)) == []
        for _ in range(20):
            for chunk in (b"\r\n\r\n", *[bytes(65536)] * 16):
                assert list(parser.feed(chunk)) == []
            assert [len(part) for part in parser.feed(b"\r\n--b")] == [16 * 65536]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'multipart/related; type="application/dicom"; boundary=abc',
            ("multipart/related", "application/dicom", "abc"),
        ),
        (
            'Multipart/Related;boundary="a b:c";TYPE=Application/DICOM',
            ("multipart/related", "application/dicom", "a b:c"),
        ),
        ("multipart/related", ("multipart/related", "", "")),
        ("application/json", ("application/json", "", "")),
        ("", ("text/plain", "", "")),
        ("multipart/related; boundary*=utf-8''abc", ("multipart/related", "", "")),
        ("multipart/related; boundary=" + "b" * 5000, None),
    ],
)
def test_the_content_type_is_read(header: str, expected: tuple[str, str, str] | None) -> None:
    found = parse_content_type(header)
    if expected is None:
        with pytest.raises(Malformed):
            Multipart(found.boundary, BodyLimits())
    else:
        assert (found.name, found.type, found.boundary) == expected
