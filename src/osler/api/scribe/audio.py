"""The audio of an encounter over HTTP: whole files, parts that may come again, and clips to listen to."""

import re
from collections.abc import AsyncIterator
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from osler.api.guard import Caller
from osler.api.scribe.entrance import NO_STORE, Entrance, Json, answer, read_body
from osler.api.scribe.shapes import PATH, encounter_json, parts_json
from osler.errors import Malformed, NotFound, TooLarge, UnsupportedMediaType
from osler.scribe.desk import ScribeDesk
from osler.scribe.listening import clip
from osler.transcribe.formats import read_transcript
from osler.transcribe.sniff import CONTAINERS, is_audio

_PIECE: Final = 4_000_000
_MAX_TRANSCRIPT: Final = 8_000_000
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")


class Audio:
    """Endpoints that take and give what was recorded."""

    def __init__(self, entrance: Entrance, desk: ScribeDesk) -> None:
        self._entrance = entrance
        self._desk = desk
        self._capture = desk.capture

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        one = PATH + "/{id}"
        return [
            Route(one + "/audio", self.upload, methods=["POST"]),
            Route(one + "/audio", self._entrance.endpoint(self.give), methods=["GET"]),
            Route(one + "/audio/{take}/{number}", self.part, methods=["PUT"]),
            Route(one + "/transcript", self.transcript, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Answer ``POST .../audio``: one file, after which the recording is finished unless ``?finish=no``."""
        caller, encounter_id = await self._admitted(request)
        upload, number, total = None, 0, 0
        try:
            async for piece in _pieces(request):
                if number == 0 and not is_audio(piece):
                    raise UnsupportedMediaType(f"that is no recording that we can read: send {CONTAINERS}")
                total += len(piece)
                if total > self._capture.limits.audio_bytes:
                    raise TooLarge("the audio is larger than the settings allow (scribe.max_audio_mb)")
                upload = await run_in_threadpool(self._capture.stage, encounter_id, upload, number, piece)
                number += 1
            if upload is None:
                raise Malformed("there is no audio in the body")
            whole, upload = upload, None  # from here on it is a take, whatever becomes of this request
            held = await run_in_threadpool(self._capture.add_take, caller.agent, encounter_id, whole)
        except BaseException:  # the client is gone, too
            if upload is not None:
                with anyio.CancelScope(shield=True):
                    await run_in_threadpool(self._capture.abandon, encounter_id, upload)
            raise
        if request.query_params.get("finish", "yes") != "no":
            held = await run_in_threadpool(self._capture.finish, caller.agent, encounter_id)
        return answer(encounter_json(held, self._desk.capture.limits.keep_unfinished_s), 202)

    async def part(self, request: Request) -> Response:
        """Answer ``PUT .../audio/{take}/{number}``; the answer comes when the part is durable."""
        caller, encounter_id = await self._admitted(request)
        names = request.path_params
        if not (_NUMBER.fullmatch(names["take"]) and _NUMBER.fullmatch(names["number"])):
            raise NotFound("take and number are numbers")
        content = await read_body(request, self._capture.limits.part_bytes)
        place = (int(names["take"]), int(names["number"]))
        if place[1] == 0 and not is_audio(content):
            raise UnsupportedMediaType(f"that is no recording that we can read: send {CONTAINERS}")
        held = await run_in_threadpool(self._capture.add, caller.agent, encounter_id, [(*place, content)])
        return answer({"bytes": held.audio_bytes}, 201)

    async def transcript(self, request: Request) -> Response:
        """Answer ``POST .../transcript``."""
        caller = await run_in_threadpool(self._entrance.admit, request)
        encounter_id = (await run_in_threadpool(self._entrance.open, caller, request.path_params["id"], "c")).id
        content = await read_body(request, _MAX_TRANSCRIPT)
        transcript = await run_in_threadpool(read_transcript, content)
        held = await run_in_threadpool(self._capture.transcript, caller.agent, encounter_id, transcript)
        return answer(encounter_json(held, self._desk.capture.limits.keep_unfinished_s), 202)

    def give(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../audio``: which parts are here, or with ``start`` and ``end`` a clip as WAV."""
        held = self._entrance.open(caller, request.path_params["id"], "r")
        asked = request.query_params
        if "start" not in asked and "end" not in asked:
            return answer(parts_json(self._capture.parts(held.id)))
        start, end = (_seconds(asked.get(name, "")) for name in ("start", "end"))
        content = clip(self._desk.stores, caller.agent, held, start_s=start, end_s=end)
        return Response(content, headers=NO_STORE, media_type="audio/wav")

    async def _admitted(self, request: Request) -> tuple[Caller, str]:
        """Let in who may record, before the body is read."""
        caller = await run_in_threadpool(self._entrance.admit, request)
        held = await run_in_threadpool(self._entrance.open, caller, request.path_params["id"], "c")
        await run_in_threadpool(self._capture.check, held.id)
        return caller, held.id


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        while len(held) >= _PIECE:
            yield bytes(held[:_PIECE])
            del held[:_PIECE]
    if held:
        yield bytes(held)


def _seconds(given: str) -> float:
    if not _SECONDS.fullmatch(given):
        raise Malformed("start and end: seconds from the beginning of the recording")
    return float(given)
