"""A multipart body taken apart as it comes, in bounded memory.

The headers of the parts are skipped, not read: what a part is shows in its content.

References
----------
RFC 2046 section 5.1.1, RFC 2387
"""

import enum
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Final

from osler.errors import Malformed, TooLarge

MAX_HEADER_BYTES: Final = 1 << 14
MAX_PADDING_BYTES: Final = 256

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_LINE_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bounds of one multipart body.

    Parameters
    ----------
    part_bytes, total_bytes : int
    parts : int
        Most parts.
    """

    part_bytes: int = 1 << 31
    total_bytes: int = 1 << 30
    parts: int = 10_000


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type header: the media type and the parameters that multipart/related has."""

    name: str
    type: str
    boundary: str


def parse_content_type(header: str) -> MediaType:
    """Parse the value of a Content-Type header; parameters that are absent are empty."""
    message = Message()
    message["Content-Type"] = header[:1024]
    of_parts, boundary = (message.get_param(name, "") for name in ("type", "boundary"))
    return MediaType(
        message.get_content_type(),
        of_parts.lower() if isinstance(of_parts, str) else "",
        boundary if isinstance(boundary, str) else "",
    )


class _State(enum.Enum):
    PREAMBLE = enum.auto()
    BOUNDARY = enum.auto()
    HEADERS = enum.auto()
    CONTENT = enum.auto()
    EPILOGUE = enum.auto()


class Multipart:
    """A parser that is fed chunks and yields the contents of the parts that are whole.

    Parameters
    ----------
    boundary : str
    limits : BodyLimits

    Raises
    ------
    Malformed
        If the boundary is missing or not one.
    """

    def __init__(self, boundary: str, limits: BodyLimits) -> None:
        if _BOUNDARY.fullmatch(boundary) is None:
            raise Malformed("the Content-Type names no boundary, or not a valid one")
        self._delimiter = _LINE_END + b"--" + boundary.encode("ascii")
        self._limits = limits
        # A delimiter begins with the line end before it; the first one has none when there is no preamble.
        self._buffer = bytearray(_LINE_END)
        self._state = _State.PREAMBLE
        self._content = io.BytesIO()
        self._whole: bytes | None = None
        self._size = 0
        self._total = 0
        self._parts = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next chunk of the body; yield the contents of the parts that it completes.

        The chunk is taken apart while the result is iterated over, which must go to its end.

        Raises
        ------
        Malformed
            If the body breaks the grammar of multipart.
        TooLarge
            If a limit is exceeded.
        """
        self._total += len(chunk)
        if self._total > self._limits.total_bytes:
            raise TooLarge("the body is larger than http.max_body_mb")
        if self._state is _State.EPILOGUE:
            return
        self._buffer += chunk
        while self._step():
            if self._whole is not None:
                whole, self._whole = self._whole, None
                yield whole

    def finish(self) -> None:
        """Note that the body is at its end.

        Raises
        ------
        Malformed
            If the closing boundary did not come.
        """
        if self._state is not _State.EPILOGUE:
            raise Malformed("the body ends before its closing boundary")

    def _step(self) -> bool:
        match self._state:
            case _State.PREAMBLE | _State.CONTENT:
                return self._read_content()
            case _State.BOUNDARY:
                return self._read_boundary()
            case _State.HEADERS:
                return self._skip_headers()
            case _:
                self._buffer.clear()
                return False

    def _read_content(self) -> bool:
        at = self._buffer.find(self._delimiter)
        self._keep(at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1))
        if at < 0:
            return False
        del self._buffer[: len(self._delimiter)]
        if self._state is _State.CONTENT:
            # The line end that closes the headers is not content; without content it opens the delimiter.
            self._whole = self._content.getvalue()[len(_LINE_END) :]
            self._content = io.BytesIO()
            self._size = 0
        self._state = _State.BOUNDARY
        return True

    def _keep(self, size: int) -> None:
        if self._state is _State.CONTENT:
            self._size += size
            if self._size > self._limits.part_bytes + len(_LINE_END):
                raise TooLarge("a part is larger than dimse.max_instance_mb")
            with memoryview(self._buffer) as view:
                self._content.write(view[:size])
        del self._buffer[:size]

    def _read_boundary(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._state = _State.EPILOGUE
            return True
        at = self._buffer.find(_LINE_END)
        padding = self._buffer[:at] if at >= 0 else b""
        if padding.strip(b" \t") or (len(self._buffer) if at < 0 else at) > MAX_PADDING_BYTES:
            raise Malformed("a boundary is followed by something else on its line")
        if at < 0:
            return False
        self._parts += 1
        if self._parts > self._limits.parts:
            raise TooLarge("the body has too many parts")
        del self._buffer[:at]
        self._state = _State.HEADERS
        return True

    def _skip_headers(self) -> bool:
        at = self._buffer.find(_LINE_END * 2, 0, MAX_HEADER_BYTES)
        if at < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise Malformed("the headers of a part are too long")
            return False
        del self._buffer[: at + len(_LINE_END)]
        self._state = _State.CONTENT
        return True
