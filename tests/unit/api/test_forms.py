"""URL-encoded bodies that come slowly, or not at all."""

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from osler.api.forms import parse_pairs, read_form
from osler.errors import Malformed


def request(*chunks: bytes) -> Request:
    """Return a request whose body begins with these chunks and then never ends."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.mark.parametrize("chunks", [(), (b"grant_type=", b"client")])
def test_a_body_that_does_not_come_in_time_is_not_waited_for(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(HTTPException) as refused:
        asyncio.run(read_form(request(*chunks), whole_s=0.05))
    assert refused.value.status_code == 408


@pytest.mark.parametrize("text", ["_id=%00", "_id=a%00b", "_id=%ED%A0%80", "&".join(["a=b"] * 101)])
def test_parameters_that_no_database_takes_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_pairs(text)
