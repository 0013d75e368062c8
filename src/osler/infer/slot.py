"""A place for one model: its process with its spool, started again when it has ended."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from osler.errors import OslerError
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Hello
from osler.infer.spool import Spool

_RELOAD_S: Final = 30.0


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
    """

    def __init__(self, start: Start, spool_root: Path, log: Any) -> None:
        self._start = start
        self._spool_root = spool_root
        self._log = log.bind(model=start.model)
        self._not_before = 0.0
        self._words = "not started"
        self._hello: Hello | None = None
        self._running: Running | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which jobs ask for this model."""
        return (self._start.model, str(self._hello.card.model_version)) if self._hello else (self._start.model,)

    @property
    def batch(self) -> int:
        """How many jobs are worth claiming at a time."""
        return max(1, self._hello.card.max_batch) if self._hello else 1

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
        self._running = Running(process, spool)
        return self._running

    def status(self) -> ModelStatus:
        """Return the state of the model."""
        ready = self._running is not None and self._running.process.alive
        return ModelStatus(self._start.model, ready, self._words, self._hello)

    def close(self) -> None:
        """Stop the process."""
        if self._running is not None:
            self._running.close()
            self._running = None
