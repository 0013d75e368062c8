"""``/dicom-web/studies``: the Store transaction over HTTP.

References
----------
DICOM PS3.18 section 10.5
"""

import json
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.guard import Caller, admit
from osler.api.services import Services
from osler.errors import InputRejected
from osler.ingest.dicomweb import Storing, open_multipart
from osler.ingest.multipart import BodyLimits

DICOM_JSON: Final = "application/dicom+json"
_TAKEN: Final = frozenset({DICOM_JSON, "application/json", "application/*", "*/*"})
_WARNING: Final = '299 osler "some instances were not stored"'
_HEADERS: Final = {202: {"warning": _WARNING}, 503: {"retry-after": "5"}}


class Stow:
    """Endpoint that stores instances."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limit = services.max_body_bytes
        self._limits = BodyLimits(part_bytes=limit, total_bytes=limit)

    async def store(self, request: Request) -> Response:
        """Answer ``POST /dicom-web/studies`` and ``/dicom-web/studies/{study_instance_uid}``.

        Each part is filed as soon as it is whole; the answer comes when all that it calls stored are durable.
        """
        caller = await run_in_threadpool(self._enter, request)
        parser = open_multipart(request.headers.get("content-type", ""), self._limits)
        storing = Storing(
            self._services.accept, f"stow:{caller.client_id}", request.path_params.get("study_instance_uid", "")
        )
        try:
            async for chunk in request.stream():
                for part in parser.feed(chunk):
                    await run_in_threadpool(storing.store, part)
            parser.finish()
        except InputRejected as error:
            storing.broke_off(error)
        result = storing.result()
        for _ in result.failed:
            self._services.metrics.refused("stow", "instance")
        text = json.dumps(result.to_json(f"{self._services.base_url}/dicom-web"))
        headers = {"cache-control": "no-store"} | _HEADERS.get(result.http_status, {})
        return Response(text, result.http_status, headers, DICOM_JSON)

    def _enter(self, request: Request) -> Caller:
        caller = admit(request, self._services)
        caller.require("ImagingStudy", "c")
        accept = request.headers.get("accept") or "*/*"
        if not any(part.partition(";")[0].strip().lower() in _TAKEN for part in accept.split(",")):
            raise HTTPException(406, f"answers come as {DICOM_JSON}")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._services.max_body_bytes:
            raise HTTPException(413, "the body is larger than the settings allow")
        return caller
