"""The requestor against a node that answers anything."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pynetdicom.presentation import PresentationContext

from osler.errors import DeliveryRefused, PeerUnavailable
from osler.ingest.messages import C_STORE_RQ, Command, encode_response
from osler.ingest.requestor import associate
from osler.ingest.upper_layer import CALLING_NOT_RECOGNIZED, LIMIT_EXCEEDED, ProtocolFault, Titles, encode_accept

KIND = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
TITLES = Titles(1, "PACS", "OSLER")
COMMAND = Command(C_STORE_RQ, 1, True, KIND[0], "1.2.3")


def acceptance(max_pdu_bytes: int = 1 << 16, *, result: int = 0, syntax: str = KIND[1]) -> bytes:
    context = PresentationContext()
    context.context_id, context.abstract_syntax, context.transfer_syntax = 1, KIND[0], [syntax]
    context.result = result
    return encode_accept(TITLES, [context], max_pdu_bytes)


def pdu(connection: socket.socket) -> tuple[int, bytes]:
    def exactly(length: int) -> bytes:
        found = b""
        while len(found) < length and (piece := connection.recv(length - len(found))):
            found += piece
        return found

    head = exactly(6)
    return (head[0], exactly(struct.unpack(">I", head[2:])[0])) if head else (0, b"")


@contextmanager
def node(*answers: bytes) -> Iterator[tuple[tuple[str, int], list[tuple[int, bytes]]]]:
    """Answer the association request with the first of the answers, each last fragment and release with the next."""
    heard: list[tuple[int, bytes]] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionResetError):
            waiting = list(answers)
            while True:
                kind, body = pdu(connection)
                heard.append((kind, body))
                if kind in (0, 7):
                    return
                if kind in (1, 5) or (kind == 4 and body[5] == 2):
                    if not waiting:
                        return
                    connection.sendall(waiting.pop(0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[:2], heard
        finally:
            thread.join(10)
            assert not thread.is_alive()


def test_a_status_and_its_comment_are_returned() -> None:
    released = struct.pack(">BxI4x", 6, 4)
    with (
        node(acceptance(), encode_response(COMMAND, 1, 0xA700, "full"), released) as (address, heard),
        associate(address, TITLES, [KIND]) as requestor,
    ):
        assert requestor.takes(KIND)
        assert requestor.store(KIND, "1.2.3", memoryview(b"data")) == (0xA700, "full")
    assert [kind for kind, _ in heard] == [1, 4, 4, 5, 0]


def test_no_fragment_is_longer_than_the_node_takes() -> None:
    data = bytes(range(256)) * 4
    with (
        node(acceptance(200), encode_response(COMMAND, 1, 0)) as (address, heard),
        associate(address, TITLES, [KIND]) as requestor,
    ):
        assert requestor.store(KIND, "1.2.3", memoryview(data)) == (0, "")
    fragments = [body for kind, body in heard if kind == 4][1:]
    assert max(len(body) for body in fragments) == 200
    assert b"".join(body[6:] for body in fragments) == data
    assert [body[5] for body in fragments] == [0] * (len(fragments) - 1) + [2]


@pytest.mark.parametrize("answer", [acceptance(result=3), acceptance(syntax="1.2.840.10008.1.2")])
def test_a_kind_that_was_not_accepted_is_not_taken(answer: bytes) -> None:
    with node(answer) as (address, _), associate(address, TITLES, [KIND]) as requestor:
        assert not requestor.takes(KIND)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (CALLING_NOT_RECOGNIZED.encode(), DeliveryRefused, "Calling AE title not recognised"),
        (LIMIT_EXCEEDED.encode(), PeerUnavailable, "Local limit exceeded"),
        (struct.pack(">BxIxBBB", 3, 4, 9, 9, 9), DeliveryRefused, "rejected"),
        (struct.pack(">BxIxxBB", 7, 4, 2, 0), PeerUnavailable, "aborted"),
        (acceptance(7), PeerUnavailable, "no DICOM node"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", PeerUnavailable, "no DICOM node"),
        (struct.pack(">BxI", 2, 1 << 31), PeerUnavailable, "no DICOM node"),
        (struct.pack(">BxI", 2, 10) + bytes(10), PeerUnavailable, "no DICOM node"),
    ],
)
def test_what_is_no_acceptance_is_an_error_with_a_reason(answer: bytes, error: type[Exception], words: str) -> None:
    with (
        node(answer) as (address, _),
        pytest.raises(error, match=words),
        associate(address, TITLES, [KIND]),
    ):
        pytest.fail("there is no association")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (struct.pack(">BxIxxBB", 7, 4, 0, 0), PeerUnavailable),
        (struct.pack(">BxI4x", 6, 4), ProtocolFault),
        (struct.pack(">BxIIBB", 4, 6, 2, 1, 3), ProtocolFault),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes, error: type[Exception]) -> None:
    with (
        node(acceptance(), answer) as (address, _),
        pytest.raises(error),
        associate(address, TITLES, [KIND]) as requestor,
    ):
        requestor.store(KIND, "1.2.3", memoryview(b"data"))


def test_nobody_listens(free_port: Callable[[], int]) -> None:
    with pytest.raises(PeerUnavailable, match="no DICOM node"), associate(("127.0.0.1", free_port()), TITLES, [KIND]):
        pytest.fail("there is no association")
