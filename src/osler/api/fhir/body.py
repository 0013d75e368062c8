"""Bodies of requests: read whole, within bounds of size and time."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

SHORT_BODY: Final = 64 * 1024
"""Bytes that are read before the client has shown who it is."""
_SHORT_S: Final = 10.0
_WHOLE_S: Final = 60.0


def is_short(request: Request) -> bool:
    """Tell whether a request announces a body that is short."""
    length = request.headers.get("content-length", "")
    return "transfer-encoding" not in request.headers and length.isdecimal() and int(length) <= SHORT_BODY


async def read_body(request: Request, *, limit: int) -> bytes:
    """Return the body of a request: one that is short within ten seconds, another within a minute.

    Parameters
    ----------
    request : Request
    limit : int
        Bytes at most.

    Raises
    ------
    HTTPException
        413 when it is larger, 408 when it does not come in time.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise HTTPException(413, "the body is larger than the settings allow")
    content = bytearray()
    try:
        async with asyncio.timeout(_SHORT_S if is_short(request) else _WHOLE_S):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limit:
                    raise HTTPException(413, "the body is larger than the settings allow")
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time", {"connection": "close"}) from None
    return bytes(content)
