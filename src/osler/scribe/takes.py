"""The audio of an encounter, take by take, as files that are read piece by piece: it never lies open on a disk."""

import io
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby

from osler.errors import Conflict, InputRejected
from osler.storage.encounters import AudioPart


class PartsFile(io.RawIOBase):
    """The parts of one take as one file that can be read and sought.

    Parameters
    ----------
    parts : sequence of AudioPart
        In order.
    get : callable
        Returns the content of a blob; one part is held at a time.
    """

    def __init__(self, parts: Sequence[AudioPart], get: Callable[[str], bytes]) -> None:
        self._parts = parts
        self._get = get
        self._ends = list(accumulate(part.size for part in parts))
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read, bytes from the beginning."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1] if self._ends else 0}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read up to the end of the part at hand."""
        number = bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        if self._held[0] != number:
            self._held = (number, self._get(self._parts[number].blob))
        start = self._at - (self._ends[number] - self._parts[number].size)
        piece = self._held[1][start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def takes(parts: Sequence[AudioPart], get: Callable[[str], bytes]) -> Iterator[io.BufferedReader]:
    """Yield each take as a file, in order."""
    for _, group in groupby(parts, key=lambda part: part.take):
        yield io.BufferedReader(PartsFile(list(group), get), buffer_size=256 * 1024)


def require_whole(parts: Sequence[AudioPart], expected: Mapping[int, int]) -> None:
    """Let pass only audio of which no part is missing.

    Parameters
    ----------
    parts : sequence of AudioPart
    expected : mapping of int to int
        How many parts each take has, where somebody knows.

    Raises
    ------
    InputRejected
        If there is none.
    Conflict
        Names the first part that is missing.
    """
    if not parts:
        raise InputRejected("there is no audio yet")
    counts = Counter(part.take for part in parts)
    highest: dict[int, int] = {}
    for part in parts:
        highest[part.take] = max(highest.get(part.take, -1), part.number)
    for take in sorted({*counts, *expected}):
        count = max(expected.get(take, 0), highest.get(take, -1) + 1)
        if counts[take] != count:
            here = {part.number for part in parts if part.take == take}
            missing = next(number for number in range(count) if number not in here)
            raise Conflict(f"part {missing} of take {take} is missing: send it, then finish again")
