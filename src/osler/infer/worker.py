"""The worker: claims jobs and sees to it that each ends in one way or another."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from osler.domain.events import Job
from osler.domain.states import Priority
from osler.errors import Transient
from osler.infer.attempt import Attempt
from osler.infer.child import Start
from osler.infer.ports import Ask, Fetch, Jobs, Record
from osler.infer.slot import ModelSlot, ModelStatus

_LOOK_S: Final = 0.005


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
        Longest that a job is held up for others to fill its batch, seconds; an urgent one is not.
    batch_s : float
        Longest that a batch may take, by what the last ones took, seconds: what is urgent waits for it. 0: any time.
    poll_s : float
        How often an idle worker looks for jobs that nobody announced, seconds.
    on_batch : callable
        Told the model and the number of the jobs that are handled together.
    ask : Ask, optional
        Puts questions of models that run elsewhere to their endpoints; without it those models do not run here.
    """

    owner: str
    models: tuple[Start, ...]
    spool_root: Path
    lease_s: float = 30.0
    batch_wait_s: float = 0.0
    batch_s: float = 0.0
    poll_s: float = 0.25
    on_batch: Callable[[str, int], None] = lambda model, jobs: None
    ask: Ask | None = None


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
        self.owner = settings.owner
        self.in_work = 0
        self._log = structlog.get_logger("osler.infer").bind(worker=settings.owner)
        self._wanted = self._given = settings.models
        self._slots = [self._slot(start) for start in settings.models]
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
        self._change_models()
        slots = {name: slot for slot in self._slots if slot.running() is not None for name in slot.names}
        jobs = self._claim(slots) if slots else []
        if jobs:
            self._settings.on_batch(jobs[0].model, len(jobs))
            attempt = Attempt(
                self._jobs,
                fetch=self._fetch,
                record=self._record,
                lease_s=self._settings.lease_s,
                log=self._log,
                pause=self._check_abandoned,
            )
            slot, began = slots[jobs[0].model], time.monotonic()
            self.in_work = len(jobs)
            try:
                attempt.run(jobs, slot)
            finally:
                self.in_work = 0
            slot.took(len(jobs), time.monotonic() - began)
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

    def use(self, models: Sequence[Start]) -> None:
        """Run these models from the next batch on; what is in work is finished, by the model that it was begun with."""
        self._wanted = tuple(models)
        self._wake.set()

    def status(self) -> list[ModelStatus]:
        """Return the state of each model."""
        return [slot.status() for slot in self._slots]

    def close(self) -> None:
        """Stop the inference processes."""
        for slot in self._slots:
            slot.close()

    def _change_models(self) -> None:
        wanted = self._wanted
        if wanted is self._given:
            return
        old = dict(zip(self._given, self._slots, strict=True))
        slots = [old.pop(start) if start in old else self._slot(start) for start in wanted]
        for slot in slots:
            slot.running()  # before it counts as one of ours: a hub that loads a model is as ready as before
        self._given, self._slots = wanted, slots
        for slot in old.values():
            slot.close()

    def _claim(self, slots: Mapping[str, ModelSlot]) -> list[Job]:
        """Claim the most urgent job and, when its model can batch, more of the same model."""
        owner = self._settings.owner
        alone = len({id(slot) for slot in slots.values()}) == 1
        limit = max(slot.batch(self._settings.batch_s) for slot in slots.values()) if alone else 1
        jobs = self._jobs.claim(owner, models=list(slots), limit=limit)
        if not jobs:
            return []
        model, size = jobs[0].model, slots[jobs[0].model].batch(self._settings.batch_s)
        if len(jobs) < size and not alone:
            jobs += self._jobs.claim(owner, models=[model], limit=size - len(jobs))
        return self._fill(jobs, model, size)

    def _fill(self, jobs: list[Job], model: str, size: int) -> list[Job]:
        """Wait for more jobs, no longer than the bound that the first one is held up for; what is urgent waits not."""
        ends_at = time.monotonic() + self._settings.batch_wait_s
        while len(jobs) < size and not self._stopping.is_set():
            left = ends_at - time.monotonic()
            if left <= 0 or any(job.study.priority is Priority.HIGH for job in jobs):
                break
            self._wake.wait(min(left, _LOOK_S))
            self._wake.clear()
            jobs = jobs + self._jobs.claim(self._settings.owner, models=[model], limit=size - len(jobs))
        return jobs

    def _slot(self, start: Start) -> ModelSlot:
        return ModelSlot(start, self._settings.spool_root, self._log, self._settings.ask)

    def _check_abandoned(self) -> None:
        if self._abandoning.is_set():
            raise Transient("the worker was stopped")
