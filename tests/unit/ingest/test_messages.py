"""Command sets and the assembly of messages (PS3.7 6.3, PS3.8 annex E)."""

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode

from osler.errors import Malformed, StorageBusy, TooLarge
from osler.ingest.messages import Assembly, Command, Message, Room, decode_command, encode_response
from osler.ingest.upper_layer import ProtocolFault

CT = "1.2.840.10008.5.1.4.1.1.2"


def store_command() -> bytes:
    """As pynetdicom writes it."""
    request = C_STORE()
    request.MessageID = 7
    request.Priority = 2
    request.AffectedSOPClassUID = CT
    request.AffectedSOPInstanceUID = "1.2.3"
    request.DataSet = io.BytesIO(b"\0\0")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return bytes(encoded)


def assembly(room: int = 1 << 20, max_bytes: int = 1 << 20) -> Assembly:
    return Assembly(lambda context_id, command: b"META", Room(room), max_bytes)


def feed(target: Assembly, *parts: tuple[int, bytes]) -> Message | None:
    found = None
    for header, content in parts:
        found = target.add(1, header, memoryview(content))
    return found


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def test_a_command_that_another_program_wrote_is_read() -> None:
    assert decode_command(store_command()) == Command(1, 7, True, CT, "1.2.3")


def test_a_response_is_read_by_another_program() -> None:
    pdu = encode_response(Command(1, 7, True, CT, "1.2.3"), 5, 0xA700, "the disk is full" + "." * 80)
    kind, length, item_length, context_id, header = struct.unpack_from(">BxIIBB", pdu)
    assert (kind, length, item_length, context_id, header) == (4, len(pdu) - 6, len(pdu) - 10, 5, 3)
    response = decode(io.BytesIO(pdu[12:]), True, True)
    assert response.CommandGroupLength == len(pdu) - 12 - 12
    assert response.CommandField == 0x8001
    assert response.MessageIDBeingRespondedTo == 7
    assert response.CommandDataSetType == 0x0101
    assert response.Status == 0xA700
    assert response.AffectedSOPClassUID == CT
    assert response.AffectedSOPInstanceUID == "1.2.3"
    assert response.ErrorComment == "the disk is full" + "." * 48
    tags = [e.tag for e in response]
    assert tags == sorted(tags)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0",
        store_command()[:-1],
        store_command() + b"\0",
        struct.pack("<HHI", 0, 0x0100, 0xFFFFFFFF),
        struct.pack("<HHI", 8, 0x0100, 2) + b"\1\0",
        element(0x0100, b"\1\0") + element(0x0110, b"\1\0"),
        element(0x0100, b"\1\0") + element(0x0800, b"\1\0"),
        element(0x0110, b"\1\0") + element(0x0800, b"\1\0"),
        element(0x0100, b"\1\0\0\0") + element(0x0110, b"\1\0") + element(0x0800, b"\1\0"),
    ],
)
def test_a_malformed_command_is_a_fault(encoded: bytes) -> None:
    with pytest.raises(ProtocolFault, match="malformed-command"):
        decode_command(encoded)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_fail_otherwise(encoded: bytes) -> None:
    with contextlib.suppress(ProtocolFault):
        decode_command(encoded)


@given(st.data())
def test_a_message_is_whole_however_it_is_fragmented(data: st.DataObject) -> None:
    command, content = store_command(), data.draw(st.binary(max_size=300))
    target = assembly()
    pieces = []
    for bits, whole in ((1, command), (0, content)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
        ends = [*cuts, len(whole)]
        pieces += [(bits | 2 * (i == len(cuts)), whole[([0, *cuts])[i] : end]) for i, end in enumerate(ends)]
    found = feed(target, *pieces)
    assert found == Message(1, Command(1, 7, True, CT, "1.2.3"), b"META" + content)
    assert target.empty


@pytest.mark.parametrize(
    "parts",
    [
        [(0, b"data")],
        [(2, b"data")],
        [(3, store_command()), (1, b"more")],
        [(1, store_command()[:10]), (0, b"data")],
    ],
)
def test_fragments_out_of_order_are_a_fault(parts: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ProtocolFault, match="out-of-order"):
        feed(assembly(), *parts)


def test_a_message_stays_in_its_presentation_context() -> None:
    target = assembly()
    target.add(1, 3, memoryview(store_command()))
    with pytest.raises(ProtocolFault, match="out-of-order"):
        target.add(3, 2, memoryview(b"data"))


def test_a_command_has_a_longest_length() -> None:
    target = assembly()
    for _ in range(16):
        assert target.add(1, 1, memoryview(bytes(1024))) is None
    with pytest.raises(ProtocolFault, match="command-too-long"):
        target.add(1, 1, memoryview(b"\0"))


def test_a_data_set_that_is_too_large_is_read_to_its_end_and_refused() -> None:
    room = Room(100)
    target = Assembly(lambda context_id, command: b"", room, 60)
    found = feed(target, (3, store_command()), (0, bytes(50)), (0, bytes(11)), (0, bytes(999)), (2, bytes(9)))
    assert found is not None
    assert isinstance(found.refusal, TooLarge)
    assert found.content == b""
    target.release()
    assert room.take(100)


def test_what_all_receive_together_is_bounded() -> None:
    room = Room(100)
    first, second = (Assembly(lambda context_id, command: b"", room, 100) for _ in range(2))
    feed(first, (3, store_command()), (0, bytes(70)))
    found = feed(second, (3, store_command()), (2, bytes(40)))
    assert found is not None
    assert isinstance(found.refusal, StorageBusy)
    second.release()
    whole = feed(first, (2, bytes(10)))
    assert whole is not None
    assert len(whole.content) == 80
    assert not room.take(21)
    first.release()
    assert room.take(100)


def test_a_prefix_that_cannot_be_made_refuses_the_data_set() -> None:
    def prefix(context_id: int, command: Command) -> bytes:
        raise Malformed("a UID is not one")

    found = feed(Assembly(prefix, Room(100), 100), (3, store_command()), (2, b"data"))
    assert found is not None
    assert isinstance(found.refusal, Malformed)
