"""URL-encoded forms and queries, with limits."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from osler.errors import Malformed

MAX_FORM_BYTES: Final = 64 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 100

Pairs = list[tuple[str, str]]


async def read_form(request: Request) -> Pairs:
    """Return the fields of a URL-encoded form, in order.

    Raises
    ------
    HTTPException
        415 when it is of another media type, 413 when it is larger than 64 KiB.
    Malformed
        If it cannot be decoded.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"the body must be {_FORM}")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_FORM_BYTES:
            raise HTTPException(413, "the body is too large")
    try:
        return parse_pairs(content.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("the form is not URL-encoded") from None


def parse_pairs(text: str) -> Pairs:
    """Return the names and values of a query string or form, in order.

    Raises
    ------
    Malformed
        If there are too many, or a value is not UTF-8.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise Malformed("the parameters cannot be decoded, or are too many") from None
