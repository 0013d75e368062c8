"""RLE frames: what belongs to no pixel is found, and pixels are not touched."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rle.rle import decode_frame, encode_frame

from osler.deidentify.dicom.run_length import idle_spans
from osler.errors import Malformed

SECRET = b"Quillfeather^Ottoline"


def spans(frame: bytes, pixels: int = 64) -> list[tuple[int, int]]:
    return list(idle_spans(b"##" + frame, 2, 2 + len(frame), pixels=pixels))


@given(
    st.binary(min_size=128, max_size=128)
    | st.builds(bytes, st.lists(st.sampled_from([0, 7]), min_size=128, max_size=128))
)
def test_a_frame_of_an_encoder_has_nothing_but_padding(values: bytes) -> None:
    frame = bytes(encode_frame(values, 8, 8, 1, 16, "<"))
    assert all(stop - start == 1 and frame[start - 2] == 0 for start, stop in spans(frame))


@given(st.lists(st.sampled_from([0, 7, 9]), min_size=64, max_size=64))
def test_what_follows_a_segment_is_found_and_blanked_without_a_change_of_pixels(values: list[int]) -> None:
    frame = bytes(encode_frame(bytes(values), 8, 8, 1, 8, "<")) + SECRET + b"\0"
    blanked = bytearray(frame)
    for start, stop in spans(frame):
        blanked[start - 2 : stop - 2] = bytes(stop - start)
    assert b"Otto" not in blanked
    assert bytes(decode_frame(bytes(blanked), 64, 8, "<")) == bytes(values)


def test_gaps_before_and_between_segments_are_found() -> None:
    segment = bytes([63]) + bytes(range(64))
    frame = struct.pack("<16I", 2, 64 + 21, 64 + 21 + 65 + 21, *[0] * 13) + SECRET + segment + SECRET + segment
    assert [frame[a - 2 : b - 2] for a, b in spans(frame)] == [SECRET, SECRET]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\1" * 63,
        struct.pack("<16I", 0, *[0] * 15) + b"\0\0",
        struct.pack("<16I", 16, *range(64, 79)) + bytes(40),
        struct.pack("<16I", 1, 64, *[0] * 13, 0x4C495551) + b"\0\0",
        struct.pack("<16I", 1, 200, *[0] * 14) + b"\0\0",
        struct.pack("<16I", 2, 66, 64, *[0] * 13) + b"\0" * 8,
        struct.pack("<16I", 1, 8, *[0] * 14) + b"\0\0",
    ],
)
def test_damaged_headers(frame: bytes) -> None:
    with pytest.raises(Malformed):
        spans(frame)
