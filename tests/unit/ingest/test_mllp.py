"""MLLP over real sockets: blocks in any pieces, bounds, and an end that loses nothing."""

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from osler.errors import ConfigError
from osler.ingest.mllp import Limits, MllpListener

Start = Callable[..., MllpListener]


class Site:
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.refused: list[str] = []
        self.told = threading.Condition()
        self.came = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, message: bytes, address: str) -> bytes | None:
        assert address == "127.0.0.1"
        self.messages.append(message)
        self.came.set()
        assert self.gate.wait(10.0)
        return None if message == b"bye" else b"ACK:" + message

    def note(self, reason: str, address: str) -> None:
        with self.told:
            self.refused.append(reason)
            self.told.notify_all()

    def wait_refused(self, reason: str) -> None:
        with self.told:
            assert self.told.wait_for(lambda: reason in self.refused, 10.0)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def start(site: Site) -> Iterator[Start]:
    started: list[MllpListener] = []

    def _start(allowed: tuple[str, ...] = ("127.0.0.1",), **limits: float) -> MllpListener:
        listener = MllpListener(
            site.answer, address=("127.0.0.1", 0), allowed=allowed, refused=site.note,
            limits=Limits(**limits),  # type: ignore[arg-type]
        )  # fmt: skip
        listener.start()
        started.append(listener)
        return listener

    yield _start
    site.gate.set()
    for listener in started:
        listener.stop(5.0)


def connect(listener: MllpListener) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", listener.port), timeout=10.0)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read(connection: socket.socket) -> bytes:
    """Read one whole block, or what came before the end."""
    got = b""
    while not got.endswith(b"\x1c\r"):
        chunk = connection.recv(1)
        if not chunk:
            break
        got += chunk
    return got


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x0bone\x1c\r", [b"one"]),
        (b"\x0bone\x1c\r\x0btwo\x1c\r", [b"one", b"two"]),
        (b"\x0bone\x1c\x0btwo\x1c", [b"one", b"two"]),  # without the CR that must follow
        (b"\r\n\x0bone\x1c\r\n", [b"one"]),
        (b"\x0bbroken off\x0bone\x1c\r", [b"one"]),
        (b"\x0b\x1c\r", [b""]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_blocks_come_in_any_pieces(site: Site, start: Start, sent: bytes, expected: list[bytes], size: int) -> None:
    with connect(start()) as connection:
        for at in range(0, len(sent), size):
            connection.sendall(sent[at : at + size])
        answers = [read(connection) for _ in expected]

    assert answers == [b"\x0bACK:" + message + b"\x1c\r" for message in expected]


def test_a_large_message_is_read_in_linear_time(site: Site, start: Start) -> None:
    body = b"x" * 8_000_000
    with connect(start()) as connection:
        connection.sendall(b"\x0b" + body + b"\x1c\r")
        assert len(read_all(connection, len(body) + 7)) == len(body) + 7


def read_all(connection: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        chunk = connection.recv(1 << 20)
        assert chunk
        got += chunk
    return bytes(got)


@pytest.mark.parametrize(
    ("limits", "sent", "reason"),
    [
        ({"max_message_bytes": 1000}, b"\x0b" + b"x" * 70_000, "message-too-long"),
        ({}, b"GET / HTTP/1.1\r\n" * 1000, "not-mllp"),
        ({}, b"no start\x1c\r", "not-mllp"),
        ({"message_s": 0.05}, b"\x0bslow", "message-too-slow"),
    ],
)
def test_who_breaks_a_bound_is_let_go(
    site: Site, start: Start, limits: dict[str, float], sent: bytes, reason: str
) -> None:
    with connect(start(**limits)) as connection:
        connection.sendall(sent)
        site.wait_refused(reason)

    assert site.messages == []


def test_a_silent_connection_is_closed(site: Site, start: Start) -> None:
    with connect(start(idle_s=0.05)) as connection:
        assert connection.recv(1) == b""


def test_nobody_else_connects(site: Site, start: Start) -> None:
    with connect(start(allowed=("10.0.0.0/8",))) as connection:
        site.wait_refused("not-allowed")
        assert connection.recv(1) == b""


def test_the_number_of_connections_is_bounded(site: Site, start: Start) -> None:
    listener = start(max_connections=1)
    with connect(listener) as first:
        first.sendall(b"\x0bone\x1c\r")
        assert read(first) == b"\x0bACK:one\x1c\r"
        with connect(listener) as second:
            site.wait_refused("too-many-connections")
            assert second.recv(1) == b""


def test_no_answer_ends_the_connection(site: Site, start: Start) -> None:
    with connect(start()) as connection:
        connection.sendall(b"\x0bbye\x1c\r")
        assert connection.recv(1) == b""


def test_a_message_that_has_come_is_answered_before_the_end(site: Site, start: Start) -> None:
    listener = start()
    site.gate.clear()
    with connect(listener) as connection:
        connection.sendall(b"\x0bone\x1c\r")
        assert site.came.wait(10.0)
        stopping = threading.Thread(target=listener.stop)
        stopping.start()
        site.gate.set()
        assert read(connection) == b"\x0bACK:one\x1c\r"
        stopping.join(10.0)


def test_an_address_that_is_taken(start: Start, site: Site) -> None:
    with pytest.raises(ConfigError, match=r"mllp\.address"):
        MllpListener(site.answer, address=("127.0.0.1", start().port), allowed=())


def test_an_entry_that_is_no_network(site: Site) -> None:
    with pytest.raises(ConfigError, match=r"mllp\.accept"):
        MllpListener(site.answer, address=("127.0.0.1", 0), allowed=("everyone",))


def test_a_connection_for_which_there_is_no_thread_is_refused_and_the_next_is_served(site: Site, start: Start) -> None:
    listener = start(max_connections=1)
    usual = threading.stack_size(1 << 46)  # no system has so much
    try:
        with connect(listener) as connection:
            assert read(connection) == b""
    finally:
        threading.stack_size(usual)
    site.wait_refused("out-of-threads")

    with connect(listener) as connection:
        connection.sendall(b"\x0bone\x1c\r")
        assert read(connection) == b"\x0bACK:one\x1c\r"


@pytest.mark.parametrize("connected", [False, True])
def test_what_it_opened_is_closed_in_the_end(site: Site, start: Start, connected: bool) -> None:
    before = set(os.listdir("/dev/fd"))
    for _ in range(3):
        listener = start()
        with connect(listener) as connection:
            if connected:
                connection.sendall(b"\x0bone\x1c\r")
                read(connection)
            listener.stop()
        listener.stop()
    assert set(os.listdir("/dev/fd")) == before
