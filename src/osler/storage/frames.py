"""The form of a kept blob: the content itself, or frames of it that are sealed one by one.

A sealed blob is a sequence of frames, so that a large one is sealed and opened with bounded memory::

    frame    length of the sealed part (4 bytes, big-endian) | sealed part
    AAD      reference | number of the frame | whether it is the last one

Frames can therefore not be changed, swapped within or between blobs, cut off or added without notice.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, Protocol

from osler.errors import IntegrityError

FRAME: Final = 4 * 1024 * 1024
"""Bytes of content in a frame, and the most that is read at once."""
_LENGTH_BYTES: Final = 4


class Sealer(Protocol):
    """Authenticated encryption under keys that the caller need not know."""

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt; ``aad`` must be the same when it is opened."""

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt, or raise IntegrityError."""


class Readable(Protocol):
    """What a kept blob is read from."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes, fewer only at the end."""


def kept_form(ref: str, content: bytes, sealer: Sealer | None) -> Iterator[bytes]:
    """Yield what is to be kept of a blob."""
    if sealer is None:
        yield content
        return
    last = max(0, (len(content) - 1) // FRAME)
    for number in range(last + 1):
        frame = content if last == 0 else content[number * FRAME : (number + 1) * FRAME]
        sealed = sealer.seal(frame, _aad(ref, number, number == last))
        yield len(sealed).to_bytes(_LENGTH_BYTES, "big")
        yield sealed


def content_of(file: Readable, ref: str, *, size: int, sealer: Sealer | None) -> Iterator[bytes]:
    """Yield the content of a kept blob.

    Parameters
    ----------
    file : Readable
    ref : str
        Reference of the blob: the SHA-256 of its content.
    size : int
        Of what is kept, bytes.
    sealer : Sealer or None

    Raises
    ------
    IntegrityError
        If it is not what was kept.
    """
    return _checked(file, ref) if sealer is None else _opened(file, ref, size, sealer)


def _checked(file: Readable, ref: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    while frame := file.read(FRAME):
        digest.update(frame)
        yield frame
    if digest.hexdigest() != ref:
        raise _damaged(ref)


def _opened(file: Readable, ref: str, left: int, sealer: Sealer) -> Iterator[bytes]:
    number = 0
    while True:
        header = file.read(_LENGTH_BYTES)
        length = int.from_bytes(header, "big")
        left -= _LENGTH_BYTES + length
        if len(header) < _LENGTH_BYTES or left < 0:
            raise _damaged(ref)
        try:
            yield sealer.open(file.read(length), _aad(ref, number, left == 0))
        except IntegrityError:
            raise _damaged(ref) from None
        if left == 0:
            return
        number += 1


def _aad(ref: str, number: int, last: bool) -> bytes:
    return bytes.fromhex(ref) + number.to_bytes(8, "big") + bytes((last,))


def _damaged(ref: str) -> IntegrityError:
    return IntegrityError(f"blob {ref[:12]} is not what was kept")
