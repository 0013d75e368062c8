"""``/scribe/encounters/{id}/stream``: audio while it is spoken, and what has been understood of it so far.

The client sends 16-bit little-endian PCM, mono, 16 kHz, as binary messages, and ``pause``, ``resume`` or ``finish`` as
text. It gets JSON: ``{"kept_s"}`` when audio is durable, ``{"stable", "tentative"}`` when something was understood, and
``{"error", "status"}`` before the end when something is wrong. What was kept stays when the connection is lost; another
connection begins another take.

References
----------
RFC 6455; WAVE with a length that is not known (EBU Tech 3306, ``0xFFFFFFFF``)
"""

import asyncio
import struct
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from osler.api.denials import denials_of
from osler.api.guard import Caller, denied
from osler.api.scribe.entrance import Entrance
from osler.api.scribe.shapes import PATH
from osler.api.services import Services
from osler.domain.encounter import Documented
from osler.errors import AccessDenied, ConfigError, Malformed, OslerError, TooLarge
from osler.scribe.chart import read_chart
from osler.scribe.desk import ScribeDesk
from osler.transcribe.streaming import Partial, Stream, from_pcm16

_RATE: Final = 16_000
_UNKNOWN: Final = 0xFFFFFFFF
_KEEP_BYTES: Final = 5 * 2 * _RATE
_MOST_MESSAGE: Final = 60 * 2 * _RATE
_IDLE_S: Final = 60.0
_POLICY: Final = 1008  # close codes of RFC 6455 7.4.1
_WRONG: Final = 1003
_FAULT: Final = 1011
_HEADER: Final = struct.pack(
    "<4sI4s4sIHHIIHH4sI",
    *(b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16, b"data", _UNKNOWN),
)


class Streaming:
    """The endpoint."""

    def __init__(self, services: Services, desk: ScribeDesk) -> None:
        self._services = services
        self._desk = desk
        self._entrance = Entrance(services, desk)

    async def serve(self, socket: WebSocket) -> None:
        """Answer one connection."""
        request = Request({**socket.scope, "type": "http", "method": "GET"})
        try:
            self._check_origin(socket)
            caller, held = await run_in_threadpool(self._admitted, request)
        except OslerError as error:
            if isinstance(error, AccessDenied):
                await denials_of(socket.app, self._services.audit).write(denied(request, type(error).__name__))
            await socket.close(_POLICY)  # before it is accepted: the client sees 403
            return
        await socket.accept()
        speaking = Speaking(self._desk, caller, held)
        try:
            await self._listen(socket, speaking)
        except WebSocketDisconnect:
            await run_in_threadpool(speaking.keep)
        except OslerError as error:
            await self._end(socket, error)

    async def _listen(self, socket: WebSocket, speaking: "Speaking") -> None:
        understanding = asyncio.create_task(run_in_threadpool(speaking.begin))
        try:
            await socket.send_json({"take": await run_in_threadpool(speaking.take_number)})
            while True:
                message = await asyncio.wait_for(socket.receive(), _IDLE_S)
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect
                if message.get("text") is not None:
                    if await self._told(socket, speaking, message["text"]):
                        return
                    continue
                if understanding.done():
                    understanding.result()
                for answer in await run_in_threadpool(speaking.heard, message.get("bytes") or b""):
                    await socket.send_json(answer)
        except TimeoutError:
            await run_in_threadpool(speaking.keep)
            await socket.close(_POLICY, "nothing came for a minute")
        finally:
            understanding.cancel()

    async def _told(self, socket: WebSocket, speaking: "Speaking", words: str) -> bool:
        """Do what the client says; True at the end."""
        if words not in ("pause", "resume", "finish"):
            raise Malformed("say pause, resume or finish")
        for answer in await run_in_threadpool(getattr(speaking, words)):
            await socket.send_json(answer)
        if words == "finish":
            await socket.close()
        return words == "finish"

    async def _end(self, socket: WebSocket, error: OslerError) -> None:
        if socket.client_state is WebSocketState.CONNECTED:
            await socket.send_json({"error": str(error), "status": error.http_status})
            await socket.close(_FAULT if error.http_status >= 500 else _WRONG)

    def _admitted(self, request: Request) -> tuple[Caller, Documented]:
        caller = self._entrance.admit(request)
        held = self._entrance.open(caller, request.path_params["id"], "c")
        return caller, self._desk.capture.check(held.id)

    def _check_origin(self, socket: WebSocket) -> None:
        """Let a browser's session speak from our own pages only: there is no other proof on a WebSocket."""
        if "authorization" in socket.headers:
            return
        ours, theirs = urlsplit(self._services.base_url), urlsplit(socket.headers.get("origin", ""))
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise AccessDenied("a session may stream from our own pages only")


class Speaking:
    """What one connection brings.

    Parameters
    ----------
    desk : ScribeDesk
    caller : Caller
    held : Documented
    """

    def __init__(self, desk: ScribeDesk, caller: Caller, held: Documented) -> None:
        self._desk = desk
        self._caller = caller
        self._id = held.id
        self._subject = held.subject
        self._waiting = bytearray(_HEADER)
        self._number = 0
        self._bytes = 0
        self._take: int | None = None
        self._stream: Stream | None = None

    def begin(self) -> None:
        """Load what understands while it is spoken; where there is no speech model, audio is kept all the same."""
        if self._desk.ear is None:
            return
        try:
            self._stream = self._desk.ear.stream(read_chart(self._desk.stores, self._subject))
        except ConfigError:
            self._stream = None

    def take_number(self) -> int:
        """Return the take that this connection is."""
        if self._take is None:
            self._take = max((part.take for part in self._desk.capture.parts(self._id)), default=-1) + 1
        return self._take

    def heard(self, content: bytes) -> list[dict[str, Any]]:
        """Take audio; return what there is to say."""
        if len(content) > _MOST_MESSAGE:
            raise TooLarge("send at most a minute of audio at once")
        samples = from_pcm16(content)
        self._waiting += content
        answers = self.keep() if len(self._waiting) >= _KEEP_BYTES else []
        if self._stream is not None and len(samples):
            answers += _said(self._stream.feed(samples))
        return answers

    def keep(self) -> list[dict[str, Any]]:
        """Make what waits durable."""
        if not self._waiting or (self._number == 0 and len(self._waiting) == len(_HEADER)):
            return []
        self._desk.capture.add(self._caller.agent, self._id, [(self.take_number(), self._number, bytes(self._waiting))])
        self._bytes += len(self._waiting)
        self._number += 1
        self._waiting.clear()
        return [{"kept_s": round((self._bytes - len(_HEADER)) / (2 * _RATE), 3)}]

    def pause(self) -> list[dict[str, Any]]:
        """Keep what waits, and pause."""
        kept = self.keep()
        self._desk.capture.pause(self._caller.agent, self._id, paused=True)
        return [*kept, {"paused": True}]

    def resume(self) -> list[dict[str, Any]]:
        """Go on."""
        self._desk.capture.pause(self._caller.agent, self._id, paused=False)
        return [{"paused": False}]

    def finish(self) -> list[dict[str, Any]]:
        """Keep what waits, and say that all is here."""
        answers = self.keep()
        if self._stream is not None:
            answers += _said(self._stream.finish())
        held = self._desk.capture.finish(self._caller.agent, self._id, {self.take_number(): self._number})
        return [*answers, {"status": held.state.value}]


def routes(services: Services, desk: ScribeDesk) -> list[WebSocketRoute]:
    """Return the route."""
    return [WebSocketRoute(PATH + "/{id}/stream", Streaming(services, desk).serve)]


def _said(partial: Partial) -> list[dict[str, Any]]:
    stable = " ".join(word.text for word in partial.stable)
    return [{"stable": stable, "tentative": partial.tentative}] if stable or partial.tentative else []
