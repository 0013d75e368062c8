"""What a broker has delivered and nobody has claimed."""

import heapq
import threading
from collections.abc import Sequence

from osler.queue.transport import Incoming


class Buffer:
    """References by model, the most urgent first; filled and emptied by different threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heaps: dict[str, list[tuple[float, int, Incoming]]] = {}
        self._count = 0

    def __len__(self) -> int:
        with self._changed:
            return sum(len(heap) for heap in self._heaps.values())

    def count(self, model: str) -> int:
        """Count the references to jobs of a model."""
        with self._changed:
            return len(self._heaps.get(model, ()))

    def add(self, incoming: Incoming) -> None:
        """Put a reference in."""
        with self._changed:
            self._count += 1
            entry = (incoming.reference.urgent_at, self._count, incoming)
            heapq.heappush(self._heaps.setdefault(incoming.reference.model, []), entry)
            self._changed.notify_all()

    def take(self, models: Sequence[str], limit: int, *, wait_s: float) -> list[Incoming]:
        """Take up to ``limit`` references to jobs of one model, the most urgent; wait for a first one, seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(self._heaps.get(model) for model in models), wait_s):
                return []
            urgent = min((self._heaps[model] for model in models if self._heaps.get(model)), key=lambda heap: heap[0])
            return [heapq.heappop(urgent)[2] for _ in range(min(limit, len(urgent)))]

    def clear(self) -> list[Incoming]:
        """Take all."""
        with self._changed:
            left = [entry[2] for heap in self._heaps.values() for entry in heap]
            self._heaps.clear()
        return left

    def keep(self, incoming: Sequence[Incoming]) -> None:
        """Put references back."""
        for one in incoming:
            self.add(one)

    def ids(self) -> set[str]:
        """Return the ids of the jobs whose references lie here."""
        with self._changed:
            return {entry[2].reference.job_id for heap in self._heaps.values() for entry in heap}
