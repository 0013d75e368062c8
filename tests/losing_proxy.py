"""An HTTP relay on loopback that loses answers, fails, or passes requests on twice, as a test tells it to."""

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Rule = Callable[[str, str, int], "str | int"]
"""Takes method, path and how often this method came to this path, from 1; returns ``pass``, ``lose`` (the request
arrives, the answer does not), ``drop`` (neither does), ``twice`` (it arrives twice), ``endless`` (an answer without an
end), or a status to answer with."""

_HOP: frozenset[str] = frozenset(
    {"connection", "transfer-encoding", "content-length", "content-encoding", "server", "date"}
)


class LosingProxy:
    """The relay; ``target`` is the URL of the server behind it. ``stop`` it in the end."""

    def __init__(self) -> None:
        self.target = ""
        self.rule: Rule = lambda method, path, count: "pass"
        self.seen: list[tuple[str, str]] = []
        self._guard = threading.Lock()
        self._client = httpx.Client(timeout=20)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Pass everything on again, and forget what was seen."""
        self.rule = lambda method, path, count: "pass"
        self.seen = []

    def stop(self) -> None:
        """Stop relaying."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
        self._client.close()

    def posted(self) -> list[str]:
        """Return the last parts of the paths that something was posted to, in order."""
        return [path.rpartition("/")[2] for method, path in self.seen if method == "POST"]

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._relay(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _relay(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        with self._guard:
            asked = (handler.command, handler.path.partition("?")[0])
            self.seen.append(asked)
            verdict = self.rule(*asked, self.seen.count(asked))
        if isinstance(verdict, int):
            handler.send_response(verdict)
            handler.send_header("content-length", "0")
            handler.end_headers()
            return
        if verdict in ("drop", "endless"):
            handler.close_connection = True
            if verdict == "endless":
                _pour(handler)
            return
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        for _ in range(2 if verdict == "twice" else 1):
            answer = self._client.request(handler.command, self.target + handler.path, content=body, headers=headers)
        if verdict == "lose":
            handler.close_connection = True
            return
        handler.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)


def _pour(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):  # 64 MB
            handler.wfile.write(bytes(65536))
