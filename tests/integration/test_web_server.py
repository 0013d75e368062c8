"""The HTTP side on real sockets: slow peers are cut off, and the rest is served."""

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from osler.hub.web import WebServer

HEAD_S = 0.5


def echo(request: Request) -> PlainTextResponse:
    assert request.client is not None
    return PlainTextResponse(request.client.host)


async def headers(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse(",".join(sorted(request.headers)))


@pytest.fixture
def server() -> Iterator[WebServer]:
    made = WebServer(
        Starlette(routes=[Route("/", echo), Route("/headers", headers, methods=["POST"])]), "127.0.0.1:0", head_s=HEAD_S
    )
    made.start()
    yield made
    made.stop()


def connect(server: WebServer) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0), timeout=10)


def ended(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass
    return True


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a head"])
def test_a_peer_that_does_not_finish_its_request_is_cut_off(server: WebServer, said: bytes) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(100)]
        for connection in slow:
            connection.sendall(said)
        assert httpx.get(server.url).status_code == 200
        assert all(ended(connection) for connection in slow)
    assert httpx.get(server.url).status_code == 200


def test_a_connection_that_is_kept_alive_is_cut_off_when_it_rests(server: WebServer) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n127.0.0.1"):  # head and body may come apart
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
        assert ended(connection)


def test_a_peer_cannot_say_which_address_it_has(server: WebServer) -> None:
    assert httpx.get(server.url, headers={"X-Forwarded-For": "203.0.113.7"}).text == "127.0.0.1"


def test_what_follows_a_chunked_body_is_no_header(server: WebServer) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /headers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\nhost,transfer-encoding"):
            more = connection.recv(4096)
            assert more, answer
            answer += more
