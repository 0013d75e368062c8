"""Which offsets of a partition may be committed: those before the first that is not settled."""

import threading
from collections.abc import Collection, Sequence

Place = tuple[str, int, int]
"""Topic, partition and offset."""


class Offsets:
    """What was received of each partition, and what of it was settled, in any order."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[tuple[str, int], set[int]] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}

    def receive(self, place: Place) -> None:
        """Note a message that was received."""
        part, offset = place[:2], place[2]
        with self._guard:
            self._open.setdefault(part, set()).add(offset)
            self._committed.setdefault(part, offset)
            self._next[part] = max(self._next.get(part, 0), offset + 1)

    def settle(self, places: Sequence[Place]) -> None:
        """Note messages that are done with; those of partitions that are others' now say nothing."""
        with self._guard:
            for place in places:
                self._open.get(place[:2], set()).discard(place[2])

    def committable(self) -> list[Place]:
        """Return for each partition the offset to commit (the first that is not settled), if it moved."""
        moved: list[Place] = []
        with self._guard:
            for part, still in self._open.items():
                offset = min(still, default=self._next[part])
                if offset > self._committed[part]:
                    self._committed[part] = offset
                    moved.append((*part, offset))
        return moved

    def forget(self, parts: Collection[tuple[str, int]]) -> None:
        """Drop partitions that others read from now on."""
        with self._guard:
            for part in parts:
                self._open.pop(part, None)
                self._next.pop(part, None)
                self._committed.pop(part, None)
