"""Files too large to be held: mapped into memory, and let go again piece by piece as they are passed over."""

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, cast

LARGE_BYTES: Final = 64 << 20
"""From this size on a file is mapped and not read."""

STEP_BYTES: Final = 8 << 20
"""How much of a mapped file is in memory at a time, about."""


def content_of(path: Path, size: int) -> bytes:
    """Return the bytes of a file; of a large one a mapping, that does what is asked of bytes here.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if size < LARGE_BYTES:
        return path.read_bytes()
    try:
        with path.open("rb") as file:
            return cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:
        raise OSError("the file has become empty") from None


def let_go(data: object) -> None:
    """Take what was read of a mapped file out of memory; it is read again where it is asked for again."""
    if isinstance(data, mmap.mmap):
        data.madvise(mmap.MADV_DONTNEED)


def passed_over(spans: Iterable[tuple[int, int]], data: object) -> Iterator[tuple[int, int]]:
    """Yield ascending spans of data, and let go of what lies behind them."""
    behind = 0
    for start, end in spans:
        yield start, end
        if end - behind >= STEP_BYTES:
            let_go(data)
            behind = end


def in_steps(part: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield a part of the output in steps, and let go of each when the next is asked for."""
    if isinstance(part, bytes):
        yield part
        return
    for start in range(0, len(part), STEP_BYTES):
        yield part[start : start + STEP_BYTES]
        let_go(part.obj)
