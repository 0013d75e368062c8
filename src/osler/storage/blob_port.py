"""What every store of blobs does: keeps content under its hash."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from osler.errors import NotFound
from osler.storage.frames import Sealer

__all__ = ["Blobs", "Kept", "Pending", "Sealer", "check_reference", "is_reference"]

_REFERENCE: Final = re.compile(r"[0-9a-f]{64}")


class Pending(Protocol):
    """A blob on its way."""

    @property
    def ref(self) -> str:
        """Its reference."""

    def settle(self) -> None:
        """Return when the blob is durable, or raise StorageBusy or StorageFull."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A blob as it is kept, for backups.

    Parameters
    ----------
    size : int
        Bytes.
    chunks : iterator of bytes
        In order, each of at most a few megabytes.
    """

    size: int
    chunks: Iterator[bytes]


class Blobs(Protocol):
    """Content under its hash."""

    def put(self, content: bytes) -> str:
        """Keep a blob, durably, and return its reference: the SHA-256 of the content, lower-case hex."""

    def stage(self, content: bytes) -> Pending:
        """Begin to keep a blob, for a caller that has something else to make durable meanwhile."""

    def get(self, ref: str) -> bytes:
        """Return a blob."""

    def link_to(self, ref: str, path: Path) -> None:
        """Give a worker its own read-only copy of a blob, checked on the way."""

    def exists(self, ref: str) -> bool:
        """Tell whether a blob is there."""

    def delete(self, ref: str) -> None:
        """Remove a blob; one that is not there is no error."""

    def check_room(self) -> None:
        """Find out whether blobs are taken now, or raise StorageFull or StorageBusy."""

    def refs(self) -> Iterator[str]:
        """Yield the references of all blobs, in no order."""

    def kept(self, ref: str) -> Kept:
        """Return a blob as it is kept, unopened and unchecked, or raise NotFound."""

    def bring_back(self, ref: str, chunks: Iterable[bytes]) -> None:
        """Keep, durably, what ``kept`` gave."""


def is_reference(name: str) -> bool:
    """Tell whether a name has the form of a reference."""
    return _REFERENCE.fullmatch(name) is not None


def check_reference(ref: str) -> str:
    """Return a reference.

    Raises
    ------
    NotFound
        If this is none.
    """
    if not is_reference(ref):
        raise NotFound("not a blob reference")
    return ref
