"""A place for one model: its process with its spool, started again when it has ended."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from osler.errors import OslerError, PluginError
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Hello
from osler.infer.ports import Ask
from osler.infer.spool import Spool

_RELOAD_S: Final = 30.0
_LEARNING: Final = 0.3


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a model can work. ``words`` says why it cannot; ``hello`` has its card and the state of its sandbox."""

    model: str
    ready: bool
    words: str
    hello: Hello | None


@dataclass(frozen=True, slots=True)
class Running:
    """A process and the spool that is its own."""

    process: InferenceProcess
    spool: Spool
    ask: Ask | None = None

    def close(self) -> None:
        """Stop the process and remove its spool."""
        self.process.close()
        self.spool.close()


class ModelSlot:
    """One model of a worker.

    Parameters
    ----------
    start : Start
    spool_root : Path
    log : structlog logger
    ask : Ask, optional
        Puts questions to endpoints; without it a model that runs elsewhere does not run here.
    """

    def __init__(self, start: Start, spool_root: Path, log: Any, ask: Ask | None = None) -> None:
        self._ask = ask
        self._start = start
        self._spool_root = spool_root
        self._log = log.bind(model=start.model)
        self._not_before = 0.0
        self._words = "not started"
        self._hello: Hello | None = None
        self._running: Running | None = None
        self._job_s = 0.0  # how long a job takes; 0 while that is not known

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which jobs ask for this model."""
        return (self._start.model, str(self._hello.card.model_version)) if self._hello else (self._start.model,)

    def batch(self, within_s: float) -> int:
        """Say how many jobs to claim at a time; of a model that runs elsewhere one, whose the question is.

        Parameters
        ----------
        within_s : float
            Longest that they may take together, by what the last ones took, seconds; 0 for any time.
        """
        most = max(1, self._hello.card.max_batch) if self._hello and not self._hello.card.endpoint else 1
        if within_s <= 0:
            return most
        return max(1, min(most, int(within_s / self._job_s))) if self._job_s else 1

    def took(self, jobs: int, seconds: float) -> None:
        """Note how long a batch took."""
        job_s = seconds / jobs
        self._job_s = job_s if not self._job_s else self._job_s + _LEARNING * (job_s - self._job_s)

    def running(self) -> Running | None:
        """Return the running process, started if need be; None when it does not start (tried again after a while)."""
        if self._running is not None and self._running.process.alive:
            return self._running
        self.close()
        if time.monotonic() < self._not_before:
            return None
        spool = Spool(self._spool_root)
        try:
            process = InferenceProcess(self._start, spool)
            self._check_reach(process)
        except OslerError as error:
            spool.close()
            self._not_before = time.monotonic() + _RELOAD_S
            self._words = str(error)
            self._log.error("model-not-loaded", reason=self._words)
            return None
        if self._hello is None and not process.hello.sandbox.complete:
            self._log.warning("sandbox-incomplete", missing=list(process.hello.sandbox.missing))
        self._log.info("model-loaded", version=process.hello.card.version, seconds=round(process.hello.seconds, 3))
        self._hello, self._words = process.hello, "ready"
        self._running = Running(process, spool, self._ask)
        return self._running

    def _check_reach(self, process: InferenceProcess) -> None:
        if process.hello.card.endpoint and self._ask is None:
            process.close()
            raise PluginError("the model runs elsewhere, and only the hub itself may ask there, not osler worker")

    def status(self) -> ModelStatus:
        """Return the state of the model."""
        ready = self._running is not None and self._running.process.alive
        return ModelStatus(self._start.model, ready, self._words, self._hello)

    def close(self) -> None:
        """Stop the process."""
        if self._running is not None:
            self._running.close()
            self._running = None
