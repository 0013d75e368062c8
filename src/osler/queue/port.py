"""What the hub asks of a queue.

The states are those of a DICOM Unified Procedure Step (PS3.4 CC.1.1)::

    SCHEDULED ──claim──▶ IN_PROGRESS ──complete──▶ COMPLETED
        ▲                   │   │
        ├──fail, release────┘   └──fail for good, discard──▶ CANCELED ──retry──▶ SCHEDULED
        └──the lease ends without a sign

Work is done at least once: a claim is a lease that its holder must extend, and who lost the lease cannot complete the
job.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from osler.domain.events import Deidentified, Job
from osler.domain.states import JobState, Priority


@dataclass(frozen=True, slots=True)
class Entry:
    """A job as an operator sees it.

    ``dead`` marks a dead letter: a canceled job that waits for a person to retry or discard it. Times are seconds since
    the epoch; ``available_at`` is when the next attempt may begin.
    """

    id: str
    model: str
    study_instance_uid: str
    revision: int
    priority: Priority
    state: JobState
    dead: bool
    attempts: int
    reason: str | None
    created_at: float
    available_at: float
    started_at: float | None
    finished_at: float | None


class Queue(Protocol):
    """A durable queue of jobs, each one model's work on one revision of one de-identified study."""

    def put(self, connection: Connection, study: Deidentified, model: str, *, site: str = "") -> bool:
        """Add a job within the caller's transaction; the jobs that wait of different sites take turns.

        Returns
        -------
        bool
            True when the job is new; False when this model already has this revision of the study.

        Raises
        ------
        IntegrityError
            If the study is anything but a :class:`Deidentified`.
        """
        ...

    def claim(self, owner: str, *, models: Sequence[str], limit: int, now: float | None = None) -> list[Job]:
        """Lease up to ``limit`` jobs, all of the same model, the most urgent first.

        A waiting job gains one priority with each ageing period, so that none starves. A claim counts as an attempt.
        """
        ...

    def extend(self, jobs: Sequence[Job], now: float | None = None) -> list[Job]:
        """Renew leases; return the jobs that are still the caller's, with their new lease."""
        ...

    def held(self, connection: Connection, job_id: str, lease: str) -> Job | None:
        """Return a job that is in progress under a lease, as its worker has it; None when it is not any more."""
        ...

    def complete(self, connection: Connection, job: Job) -> bool:
        """Complete a job within the caller's transaction; False when the lease was lost, and nothing may be done."""
        ...

    def fail(self, job: Job, reason: str, *, retryable: bool = True) -> bool:
        """Put a job back with exponential back-off, or set it aside for a person when no attempt is left.

        ``reason`` holds no value from the data. False when the lease was lost.
        """
        ...

    def release(self, job: Job, reason: str) -> bool:
        """Give a job back that failed through no fault of its own (disk full): the attempt is not counted."""
        ...

    def entries(self, *, states: Collection[JobState] = (), dead: bool | None = None, limit: int = 1000) -> list[Entry]:
        """List jobs in the order of their claim; without ``states`` those of every state."""
        ...

    def counts(self) -> dict[str, int]:
        """Count the jobs in each state, and the dead letters as ``"dead"``."""
        ...

    def retry(self, job_id: str, *, connection: Connection | None = None) -> bool:
        """Schedule a canceled job anew with all its attempts; False when it is not canceled.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        ...

    def discard(self, job_id: str, *, connection: Connection | None = None) -> bool:
        """Cancel a job for good, whoever works on it; False when it is completed or was discarded before.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        ...

    def relay(self) -> bool:
        """Bring waiting jobs to where workers claim them, one round; False when there was nothing to bring."""
        ...

    def reachable(self) -> bool:
        """Tell whether jobs can be claimed; False while a broker is away. Jobs can be put all the same."""
        ...

    def close(self) -> None:
        """Let go of what the queue holds outside the ledger."""
        ...
