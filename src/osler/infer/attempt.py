"""One attempt at a batch of jobs: each of them ends recorded, failed or given back."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from osler.domain.events import Job
from osler.errors import (
    ConfigError,
    ContractViolation,
    InputRejected,
    IntegrityError,
    OslerError,
    PluginError,
    Transient,
)
from osler.infer.child import Answer
from osler.infer.messages import Reading
from osler.infer.ports import Fetch, Jobs, Record
from osler.infer.slot import ModelSlot, Running
from osler.plugins import Instance, Study, Tensors

_RECORDERS: Final = 8


class Attempt:
    """Work on the jobs of one claim.

    Parameters
    ----------
    jobs : Jobs
    fetch : Fetch
    record : Record
    lease_s : float
        The queue's lease, seconds; a sign is given three times in that time.
    log : structlog logger
    pause : callable
        Called between steps and while waiting; what it raises ends the attempt, and the jobs are given back.
    """

    def __init__(
        self, jobs: Jobs, *, fetch: Fetch, record: Record, lease_s: float, log: Any, pause: Callable[[], None]
    ) -> None:
        self._jobs = jobs
        self._fetch = fetch
        self._record = record
        self._lease_s = lease_s
        self._log = log
        self._pause = pause
        self._held: dict[str, Job] = {}
        self._fetch_s: dict[str, float] = {}
        self._sign_at = time.monotonic()

    def run(self, claimed: Sequence[Job], slot: ModelSlot) -> None:
        """Handle the jobs.

        Raises
        ------
        Transient
            If the ledger does not answer, or ``pause`` raised it. Jobs that could not be given back come back when
            their lease ends.
        """
        self._held = {job.id: job for job in claimed}
        try:
            self._run(claimed, slot)
        except Transient:
            for job in list(self._held.values()):
                self._release(job, "the worker could not go on")
            raise

    def _run(self, claimed: Sequence[Job], slot: ModelSlot) -> None:
        running = slot.running()
        if running is None:
            for job in claimed:
                self._release(job, "the model does not load")
            return
        readings = []
        for index, job in enumerate(claimed):
            reading = self._spooled(job, running.spool.study_folder(str(index)))
            readings += [reading] if reading is not None else []
        if not readings:
            running.spool.clear()
            return
        try:
            answers = running.process.read(readings, tick=self._tick, ask=_asking(claimed, running))
        except (PluginError, ConfigError, IntegrityError) as error:
            jobs = [self._held[r.job_id] for r in readings if r.job_id in self._held]
            self._log.warning("inference-process-stopped", reason=str(error), jobs=len(jobs))
            if len(readings) > 1:  # one of them may be at fault: each gets a process of its own
                for job in jobs:
                    self._run([job], slot)
            else:
                self._fail(jobs, error)
            return
        with ThreadPoolExecutor(_RECORDERS) as pool:  # together: the ledger commits what comes at once as one
            list(pool.map(self._conclude, answers))
        running.spool.clear()

    def _spooled(self, job: Job, folder: Path) -> Reading | None:
        """Write the instances of a job into the spool; None when that failed and the job is dealt with."""
        began = time.perf_counter()
        try:
            instances = []
            for index, instance in enumerate(job.study.instances):
                path = folder / f"{index}.dcm"
                self._fetch(instance.blob, path)
                instances.append(Instance(instance.sop_instance_uid, instance.series_instance_uid, path))
                self._tick()
        except Transient:
            raise
        except OslerError as error:
            self._fail([job], error)
            return None
        self._fetch_s[job.id] = time.perf_counter() - began
        study = Study(job.study.study_instance_uid, tuple(instances), job.study.age_band, job.study.priority)
        return Reading(job.id, study)

    def _conclude(self, answer: Answer) -> None:
        job = self._held.get(answer.job_id)
        if job is None:  # the lease was lost; whoever has it now will answer
            return
        if isinstance(answer.result, OslerError):
            self._fail([job], answer.result)
            return
        seconds = {"fetch": self._fetch_s[job.id], **answer.result.seconds}
        try:
            saved = self._record(job, replace(answer.result, seconds=seconds), answer.heatmaps)
        except Transient:
            raise
        except OslerError as error:
            self._fail([job], error)
            return
        del self._held[job.id]
        if not saved:
            self._log.info("lease-lost", job=job.id)

    def _fail(self, jobs: Sequence[Job], error: OslerError) -> None:
        # Another attempt at a broken contract or a damaged blob would end the same.
        final = isinstance(error, ContractViolation | InputRejected | IntegrityError | ConfigError)
        for job in jobs:
            self._log.warning("job-failed", job=job.id, attempt=job.attempts, reason=str(error))
            self._jobs.fail(job, str(error), retryable=not final)
            self._held.pop(job.id, None)

    def _release(self, job: Job, reason: str) -> None:
        self._held.pop(job.id, None)
        self._jobs.release(job, reason)

    def _tick(self) -> None:
        self._pause()
        if self._held and time.monotonic() - self._sign_at >= self._lease_s / 3:
            self._sign_at = time.monotonic()
            try:
                self._held = {job.id: job for job in self._jobs.extend(list(self._held.values()))}
            except Transient as error:
                self._log.warning("lease-not-extended", reason=str(error))


def _asking(jobs: Sequence[Job], running: Running) -> Callable[[Tensors], Tensors] | None:
    """Return how a model asks for its job: with no word of which it is."""
    ask, card = running.ask, running.process.hello.card
    return partial(ask, jobs[0], card) if ask and card.endpoint and len(jobs) == 1 else None
