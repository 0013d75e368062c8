"""URL-encoded forms and queries, with limits."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from osler.errors import Malformed

MAX_FORM_BYTES: Final = 64 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 100
_WHOLE_S: Final = 10.0

Pairs = list[tuple[str, str]]


async def read_form(request: Request, *, whole_s: float = _WHOLE_S, or_nothing: bool = False) -> Pairs:
    """Return the fields of a URL-encoded form, in order.

    Parameters
    ----------
    request : Request
    whole_s : float
        Longest time for all of it to arrive, seconds: nobody has shown yet who he is.
    or_nothing : bool
        Take a request without a body, and without a media type, as a form without fields.

    Raises
    ------
    HTTPException
        415 when it is of another media type, 413 when it is larger than 64 KiB, 408 when it does not come in time.
    Malformed
        If it cannot be decoded.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        or_nothing
        and not kind
        and request.headers.get("content-length", "0") == "0"
        and "transfer-encoding" not in request.headers
    ):
        return []  # nothing was sent
    if kind != _FORM:
        raise HTTPException(415, f"the body must be {_FORM}")
    try:
        async with asyncio.timeout(whole_s):
            content = await _content(request)
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time", {"connection": "close"}) from None
    try:
        return parse_pairs(content.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("the form is not URL-encoded") from None


async def _content(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_FORM_BYTES:
            raise HTTPException(413, "the body is too large")
    return content


def parse_pairs(text: str) -> Pairs:
    """Return the names and values of a query string or form, in order.

    Raises
    ------
    Malformed
        If there are too many, or a value is not UTF-8, or has the character NUL in it, which no database takes.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise Malformed("the parameters cannot be decoded, or are too many") from None
    if any("\0" in value for _, value in pairs):
        raise Malformed("a parameter has the character NUL in it")
    return pairs
