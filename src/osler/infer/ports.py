"""What a worker needs from outside; the hub supplies the real ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from osler.domain.events import Job
from osler.domain.findings import Inference
from osler.plugins import Card, Tensors

Fetch = Callable[[str, Path], None]
"""Put a blob, by its reference, into a file of the spool."""

Record = Callable[[Job, Inference, dict[str, bytes]], bool]
"""Save an inference and complete its job in one transaction; False when the lease was lost and nothing was saved.

It is called from several threads at once. The heatmaps are PNG files by their SHA-256, which is what
``CaseResult.heatmap`` holds.
"""


Ask = Callable[[Job, Card, Tensors], Tensors]
"""Put a question of a model that runs elsewhere to its endpoint, for one job, and return the answer, checked."""


class Jobs(Protocol):
    """What a worker asks of the queue; see :class:`osler.queue.port.Queue`."""

    def claim(self, owner: str, *, models: Sequence[str], limit: int) -> list[Job]:
        """Lease jobs of one model."""
        ...

    def extend(self, jobs: Sequence[Job]) -> list[Job]:
        """Renew leases; return the jobs that are still ours."""
        ...

    def fail(self, job: Job, reason: str, *, retryable: bool = True) -> bool:
        """Put a job back, or set it aside."""
        ...

    def release(self, job: Job, reason: str) -> bool:
        """Give a job back without counting the attempt."""
        ...
