"""Around every request: its time and status in the log and the metrics, safe headers, and no fault let out."""

import time
import traceback
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osler.api.guard import CLIENT_KEY, route_of
from osler.api.outcome import outcome_of_status
from osler.metrics import Metrics

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_LONG_BODY: Final = 4 * 1024 * 1024
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger(__name__)


class Edge:
    """ASGI middleware. What it writes down holds the route's template, never a path, a query or a message."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        whole = False

        async def receive_noting() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or (message["type"] == "http.request" and not message.get("more_body", False))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if status >= 400 and not whole and _is_long(Headers(scope=scope)):
                    headers["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive_noting, send_with_headers)
        except Exception as error:  # the outermost edge: a message or traceback could quote the data
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.error("request failed", error=type(error).__name__, at=f"{where.filename}:{where.lineno}")
            if not status:
                await outcome_of_status(500, "something is wrong on this side")(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_of(scope)
        self._metrics.request(method, route, status, seconds)
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            client=scope.get(CLIENT_KEY, ""),
        )


def _is_long(headers: Headers) -> bool:
    """Tell whether a refused body is too long to wait for. A short one is read, so that the answer arrives."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdecimal() or int(length) > _LONG_BODY
