"""The port on loopback that a person's browser comes back to.

References
----------
RFC 8252 7.3 (loopback redirection), 8.3; RFC 6749 10.12
"""

import secrets
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from osler.errors import ConfigError, PeerUnavailable

PATH: Final = "/callback"
_HOST: Final = "127.0.0.1"
_PAGE: Final = (
    b"<!doctype html><meta charset=utf-8><title>Osler</title><p>You may close this page and go back to Osler."
)


class Listener:
    """Waits for the one request that brings the answer to a launch.

    Parameters
    ----------
    port : int
        0: any that is free.
    state : str
        That the answer must carry; what carries another is turned away, and the wait goes on.

    Raises
    ------
    ConfigError
        If the port is taken.
    """

    def __init__(self, port: int, state: str) -> None:
        try:
            self._server = _Server((_HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(f"redirect_port of the ehr cannot be listened on: {error.strerror}") from None
        self._server.state = state

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *error: object) -> None:
        self._server.server_close()

    @property
    def redirect_uri(self) -> str:
        """Where the browser is to come back to."""
        return f"http://{_HOST}:{self._server.server_port}{PATH}"

    def wait(self, wait_s: float) -> Mapping[str, str]:
        """Return the parameters of the answer.

        Raises
        ------
        PeerUnavailable
            If none came in time (seconds).
        """
        deadline = time.monotonic() + wait_s
        while self._server.answer is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerUnavailable("nobody came back from the EHR's sign-in in time")
            self._server.timeout = left
            self._server.handle_request()
        return self._server.answer


class _Server(HTTPServer):
    state = ""
    answer: Mapping[str, str] | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away while it is answered is no fault."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        """Take the answer, under our own name only: no page of another may bring one (DNS rebinding)."""
        parts = urlsplit(self.path)
        found = parse_qs(parts.query, keep_blank_values=True, max_num_fields=20)
        answer = {name: values[0] for name, values in found.items() if len(values) == 1}
        ours = parts.path == PATH and self.headers.get("host") == f"{_HOST}:{self.server.server_port}"
        if not ours or not secrets.compare_digest(answer.get("state", "").encode(), self.server.state.encode()):
            self.send_error(404)
            return
        self.send_response(200)
        for name, value in (
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", str(len(_PAGE))),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(_PAGE)
        self.server.answer = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the request holds the code."""
