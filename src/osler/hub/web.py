"""The HTTP side of a running hub."""

import socket
import threading
import time
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from osler.config import split_address
from osler.errors import ConfigError

_START_S: Final = 15.0
_MAX_HEADER_BYTES: Final = 64 * 1024


class WebServer:
    """Serves an application in a thread of its own.

    Parameters
    ----------
    app : ASGI application
    address : str
        HOST:PORT; port 0 takes a free one.
    """

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
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
                http="h11",
            )
        )
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
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

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
