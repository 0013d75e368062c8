"""The worker: claims jobs and sees to it that each ends in one way or another."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from osler.domain.events import Job
from osler.errors import Transient
from osler.infer.attempt import Attempt
from osler.infer.child import Start
from osler.infer.ports import Fetch, Jobs, Record
from osler.infer.slot import ModelSlot, ModelStatus


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker works.

    Parameters
    ----------
    owner : str
        Name of the worker in leases and logs.
    models : tuple of Start
        The models it runs, each in a process of its own.
    spool_root : Path
        Where it makes its spools.
    lease_s : float
        The queue's lease, seconds; the worker gives a sign three times in that time.
    batch_wait_s : float
        How long to wait for more jobs to fill a batch, seconds.
    poll_s : float
        How often an idle worker looks for jobs that nobody announced, seconds.
    """

    owner: str
    models: tuple[Start, ...]
    spool_root: Path
    lease_s: float = 30.0
    batch_wait_s: float = 0.0
    poll_s: float = 0.25


class Worker:
    """Runs models on jobs, from one thread.

    Parameters
    ----------
    jobs : Jobs
    fetch : Fetch
    record : Record
    settings : WorkerSettings
    """

    def __init__(self, jobs: Jobs, fetch: Fetch, record: Record, settings: WorkerSettings) -> None:
        self._jobs = jobs
        self._fetch = fetch
        self._record = record
        self._settings = settings
        self._log = structlog.get_logger("osler.infer").bind(worker=settings.owner)
        self._slots = [ModelSlot(start, settings.spool_root, self._log) for start in settings.models]
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._abandoning = threading.Event()

    def run(self) -> None:
        """Work until :meth:`stop`."""
        try:
            while not self._stopping.is_set():
                try:
                    busy = self.run_once()
                except Transient as error:
                    self._log.warning("worker-waits", reason=str(error))
                    busy = 0
                if not busy:
                    self._wake.wait(self._settings.poll_s)
                    self._wake.clear()
        finally:
            self.close()

    def run_once(self) -> int:
        """Claim and handle one batch; return the number of its jobs."""
        slots = {name: slot for slot in self._slots if slot.running() is not None for name in slot.names}
        jobs = self._claim(slots) if slots else []
        if jobs:
            attempt = Attempt(
                self._jobs,
                fetch=self._fetch,
                record=self._record,
                lease_s=self._settings.lease_s,
                log=self._log,
                pause=self._check_abandoned,
            )
            attempt.run(jobs, slots[jobs[0].model])
        return len(jobs)

    def wake(self) -> None:
        """Tell an idle worker that there is work."""
        self._wake.set()

    def stop(self, *, drain: bool = True) -> None:
        """End :meth:`run`; the batch in work is finished, or given back when ``drain`` is False."""
        if not drain:
            self._abandoning.set()
        self._stopping.set()
        self._wake.set()

    def status(self) -> list[ModelStatus]:
        """Return the state of each model."""
        return [slot.status() for slot in self._slots]

    def close(self) -> None:
        """Stop the inference processes."""
        for slot in self._slots:
            slot.close()

    def _claim(self, slots: Mapping[str, ModelSlot]) -> list[Job]:
        """Claim the most urgent job and, when its model can batch, more of the same model."""
        owner, wait_s = self._settings.owner, self._settings.batch_wait_s
        alone = len({id(slot) for slot in slots.values()}) == 1
        limit = max(slot.batch for slot in slots.values()) if alone else 1
        jobs = self._jobs.claim(owner, models=list(slots), limit=limit)
        if not jobs:
            return []
        missing = slots[jobs[0].model].batch - len(jobs)
        if missing > 0 and wait_s > 0:
            self._stopping.wait(wait_s)
        if missing > 0 and (wait_s > 0 or not alone):
            jobs += self._jobs.claim(owner, models=[jobs[0].model], limit=missing)
        return jobs

    def _check_abandoned(self) -> None:
        if self._abandoning.is_set():
            raise Transient("the worker was stopped")
