"""The HTTP side of a running hub."""

import asyncio
import socket
import threading
import time
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from osler.config import split_address
from osler.errors import ConfigError
from osler.tls import ServerTls

_START_S: Final = 15.0
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_WS_MESSAGE: Final = 4_000_000


class _Patient(H11Protocol):
    """HTTP/1.1 whose patience ends: a connection that does not bring a whole request head in time is closed."""

    head_s = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def handle_events(self) -> None:
        """Stop waiting when a request has begun, and begin again after its answer."""
        answering = self.cycle is not None and not self.cycle.response_complete
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._waiting.cancel()
        elif answering:
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._waiting.cancel()
        self._wait()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Stop waiting: a WebSocket is patient in its own way."""
        self._waiting.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.head_s, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class WebServer:
    """Serves an application in a thread of its own.

    Parameters
    ----------
    app : ASGI application
    address : str
        HOST:PORT; port 0 takes a free one.
    head_s : float
        Longest time for the head of a request, seconds.
    tls : ServerTls, optional
        Without it we speak in clear.
    """

    def __init__(
        self, app: ASGIApp, address: str, *, head_s: float = _Patient.head_s, tls: ServerTls | None = None
    ) -> None:
        self._scheme = "https" if tls else "http"
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            limit_concurrency=256,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            http=type("Patient", (_Patient,), {"head_s": head_s}),
            ws="websockets-sansio",
            ws_max_size=_MAX_WS_MESSAGE,
            proxy_headers=False,  # else any peer on loopback could say which address it has
        )
        if tls is not None:
            settings.load()
            settings.ssl = tls.context
        self._server = uvicorn.Server(settings)
        host, port = split_address(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Only for a socket of this protocol does asyncio set TCP_NODELAY, without which each answer waits 40 ms.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"http.address: cannot listen on {address}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Listen; returns when it answers."""
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ConfigError("the HTTP side did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let requests in hand end, then stop."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(15.0)
        self._socket.close()
