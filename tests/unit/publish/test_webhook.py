import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from osler.config import Destination
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish import webhook
from osler.publish.alert import Alert
from osler.publish.message import Message
from osler.testing.peers import Pager
from osler.testing.results import recorded

MESSAGE = Message(recorded(), "OSL-ABC", "http://hub", Alert("alert-1", "result-1", 0, 1000.0), "key-1")
HOSTS = ["127.0.0.1"]


@pytest.fixture(scope="module")
def pagers() -> Iterator[tuple[Pager, list[int]]]:
    status = [204]
    opened = Pager("top-secret", status=lambda: status[0])
    yield opened, status
    opened.stop()


@pytest.fixture
def pager(pagers: tuple[Pager, list[int]]) -> Pager:
    pagers[0].messages.clear()
    return pagers[0]


@pytest.fixture
def answer(pagers: tuple[Pager, list[int]]) -> Iterator[list[int]]:
    """Status that the pager answers."""
    yield pagers[1]
    pagers[1][0] = 204


def destination(url: str, secret: str = "top-secret") -> Destination:
    return Destination("pager", "webhook", url=url, secret=secret)


def test_it_arrives_signed(pager: Pager) -> None:
    delivery = webhook.send(MESSAGE, destination(pager.url), allowed_hosts=HOSTS, clock=lambda: 1234.9)

    (got,) = pager.messages
    assert delivery.reference == "alert-1"
    assert got.signed
    assert got.body["id"] == "alert-1"
    headers = {name.lower(): value for name, value in got.headers.items()}
    assert headers["osler-timestamp"] == "1234"
    assert headers["idempotency-key"] == "key-1"
    assert headers["content-type"] == "application/json"


def test_another_secret_makes_another_signature(pager: Pager) -> None:
    webhook.send(MESSAGE, destination(pager.url, secret="other"), allowed_hosts=HOSTS)

    assert [m.signed for m in pager.messages] == [False]


def test_sent_again_it_is_the_same_message(pager: Pager) -> None:
    for now in (1.0, 2.0):
        webhook.send(MESSAGE, destination(pager.url), allowed_hosts=HOSTS, clock=lambda now=now: now)

    first, second = pager.messages
    assert first.body == second.body
    assert [m.headers["Idempotency-Key"] for m in pager.messages] == ["key-1", "key-1"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None), (202, None), (204, None),
        (408, PeerUnavailable), (425, PeerUnavailable), (429, PeerUnavailable),
        (500, PeerUnavailable), (502, PeerUnavailable), (503, PeerUnavailable),
        (301, DeliveryRefused), (302, DeliveryRefused), (307, DeliveryRefused),
        (400, DeliveryRefused), (401, DeliveryRefused), (404, DeliveryRefused), (410, DeliveryRefused),
    ],
)  # fmt: skip
def test_what_each_status_means(pager: Pager, answer: list[int], status: int, error: type[Exception] | None) -> None:
    answer[0] = status

    with contextlib.ExitStack() as stack:
        if error is not None:
            stack.enter_context(pytest.raises(error, match=f"destination pager.*{status}"))
        webhook.send(MESSAGE, destination(pager.url), allowed_hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/alert",
        "http://127.0.0.1.evil.example/alert",
        "http://127.0.0.1@evil.example/alert",
        "http://evil.example/127.0.0.1",
        "ftp://127.0.0.1/alert",
        "file:///etc/passwd",
        "http://[::1]/alert",
        "http://",
        "no url",
        "http://127.0.0.1:port/alert",
    ],
)
def test_only_allowed_hosts_are_written_to(url: str) -> None:
    with pytest.raises(DeliveryRefused):
        webhook.send(MESSAGE, destination(url), allowed_hosts=HOSTS)


def test_a_redirect_is_not_followed(pager: Pager) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: " + pager.url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    with serving(moved) as url, pytest.raises(DeliveryRefused, match="307"):
        webhook.send(MESSAGE, destination(url), allowed_hosts=HOSTS)

    assert pager.messages == []


def test_nobody_there(free_port: Callable[[], int]) -> None:
    with pytest.raises(PeerUnavailable, match="destination pager: no answer"):
        webhook.send(MESSAGE, destination(f"http://127.0.0.1:{free_port()}/"), allowed_hosts=HOSTS)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SMTP ready\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 2", id="half an answer"),
    ],
)
def test_an_answer_that_is_none(said: bytes) -> None:
    with serving(said) as url, pytest.raises(PeerUnavailable):
        webhook.send(MESSAGE, destination(url), allowed_hosts=HOSTS)


@pytest.mark.parametrize("drip", [b"", b"X-More: 1\r\n"], ids=["silence", "headers without end"])
def test_a_host_that_never_ends_is_left(drip: bytes) -> None:
    with serving(b"HTTP/1.1 204 No Content\r\n", drip=drip) as url:
        began = time.monotonic()
        with pytest.raises(PeerUnavailable):
            webhook.send(MESSAGE, destination(url), allowed_hosts=HOSTS, whole_s=0.5)
        assert time.monotonic() - began < 5


def test_a_body_without_end_is_not_read() -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", drip=b"x" * 1000) as url:
        assert webhook.send(MESSAGE, destination(url), allowed_hosts=HOSTS).reference == "alert-1"


def test_no_error_tells_the_secret_or_the_finding(pager: Pager, answer: list[int]) -> None:
    answer[0] = 400
    with pytest.raises(DeliveryRefused) as caught:
        webhook.send(replace(MESSAGE, patient="OSL-SECRET"), destination(pager.url), allowed_hosts=HOSTS)

    assert "top-secret" not in repr(caught.value) + repr(destination(pager.url))
    assert "OSL-SECRET" not in str(caught.value)


@contextlib.contextmanager
def serving(said: bytes, *, drip: bytes | None = None) -> Iterator[str]:
    """Answer one connection with ``said``; then end it, or keep it open (and go on with ``drip``)."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(said)
            while drip is not None and not stop.wait(0.02):
                connection.sendall(drip)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/alert"
    finally:
        stop.set()
        thread.join()
        server.close()
