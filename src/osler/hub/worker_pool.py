"""The workers of a process: threads, each with an inference process for each model that it can run."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from osler.config import Config
from osler.errors import ConfigError
from osler.hub.serving import Serving
from osler.infer.child import Start
from osler.infer.devices import Device, devices
from osler.infer.needs import Needs
from osler.infer.ports import Ask, Record
from osler.infer.slot import ModelStatus
from osler.infer.worker import Worker, WorkerSettings
from osler.queue.port import Queue
from osler.storage.blobs import Blobs
from osler.storage.workers import WorkerSign

_GIVING_BACK_S: Final = 5.0

log = structlog.get_logger(__name__)


class WorkerPool:
    """Runs ``worker.processes`` workers on each device, each with the models that it can run.

    Parameters
    ----------
    queue : Queue
    deidentified : Blobs
    config : Config
    record : Record
        What becomes of a result.
    owner : str
        Name of the process in leases.

    Raises
    ------
    ConfigError
        If a setting of a device or a limit is none.
    """

    def __init__(self, queue: Queue, deidentified: Blobs, config: Config, *, record: Record, owner: str) -> None:
        self._queue = queue
        self._deidentified = deidentified
        self._config = config
        self._record = record
        self._owner = owner
        self.ask: Ask | None = None
        """Puts questions of models that run elsewhere to their endpoints."""
        self._running: list[tuple[Worker, threading.Thread, Device]] = []
        self._draining = False
        self._started_at = time.time()
        self._complained: set[str] = set()
        self.devices = devices(config.items("worker.devices"), memory_mb=config.integer("worker.gpu_memory_mb"))
        self.timeouts_s = limits(config, "worker.timeouts_s")
        self.processes = limits(config, "worker.model_processes")
        self.on_batch: Callable[[str, int], None] = lambda model, jobs: None

    def start(self, serving: Serving, *, at_least: int = 0) -> None:
        """Begin to work; with ``at_least`` so many workers, whatever is configured."""
        count = max(at_least, self._config.integer("worker.processes")) * len(self.devices)
        for number in range(count):
            device = self.devices[number % len(self.devices)]
            settings = WorkerSettings(
                owner=f"{self._owner}-{number}",
                models=self._share(serving, number, device),
                spool_root=self._config.data_dir / "spool",
                lease_s=self._config.number("queue.lease_s"),
                batch_wait_s=self._config.integer("worker.batch_wait_ms") / 1000,
                batch_s=self._config.integer("worker.batch_ms") / 1000,
                on_batch=self.on_batch,
                ask=self.ask,
            )
            worker = Worker(self._queue, self._fetch, self._record, settings)
            thread = threading.Thread(target=worker.run, name=f"worker-{number}", daemon=True)
            self._running.append((worker, thread, device))
            thread.start()

    def use(self, serving: Serving) -> None:
        """Run other models from the next batch on."""
        for number, (worker, _, device) in enumerate(self._running):
            worker.use(self._share(serving, number, device))

    def wake(self) -> None:
        """Say that there is work."""
        for worker in self.workers():
            worker.wake()

    def drain(self) -> None:
        """Claim nothing more; what is in work goes on."""
        self._draining = True
        for worker in self.workers():
            worker.stop()

    def join(self, within_s: float) -> None:
        """Wait for what is in work; what takes longer than this is given back, seconds."""
        deadline = time.monotonic() + within_s
        for worker, thread, _ in self._running:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                worker.stop(drain=False)
                thread.join(_GIVING_BACK_S)

    def workers(self) -> list[Worker]:
        """Return the workers."""
        return [worker for worker, _, _ in self._running]

    def status(self) -> list[ModelStatus]:
        """Return the state of each model of each worker."""
        return [status for worker in self.workers() for status in worker.status()]

    def signs(self, now: float) -> list[WorkerSign]:
        """Say of each worker what others may know of it."""
        return [
            WorkerSign(
                id=worker.owner,
                host=socket.gethostname(),
                pid=os.getpid(),
                models=tuple(status.model for status in worker.status() if status.ready),
                tags=tuple(self._config.items("worker.tags")),
                device=device.name,
                gpu_memory_mb=device.memory_mb,
                busy=worker.in_work,
                draining=self._draining,
                started_at=self._started_at,
                heartbeat_at=now,
            )
            for worker, _, device in self._running
        ]

    def _share(self, serving: Serving, number: int, device: Device) -> tuple[Start, ...]:
        """Choose the models of one worker."""
        chosen = []
        for start in serving.starts:
            card = serving.cards[start.model]
            needs = Needs.of(card)
            lacking = needs.lacking(
                device=device,
                tags=self._config.items("worker.tags"),
                memory_mb=self._config.integer("worker.memory_mb"),
            )
            most = int(self.processes.get(card.name, needs.processes))
            if lacking:
                self._complain(f"{start.model}: {lacking}")
            elif not most or number < most:
                timeout_s = self.timeouts_s.get(card.name, 0.0)
                chosen.append(replace(start, device=device.name, timeout_s=timeout_s))
        return tuple(chosen)

    def _complain(self, words: str) -> None:
        if words not in self._complained:
            self._complained.add(words)
            log.warning("model does not run here", reason=words)

    def _fetch(self, ref: str, target: Path) -> None:
        self._deidentified.link_to(ref, target)


def limits(config: Config, setting: str) -> Mapping[str, float]:
    """Read a list of ``MODEL = NUMBER``.

    Raises
    ------
    ConfigError
        If an entry is none.
    """
    found: dict[str, float] = {}
    for entry in config.items(setting):
        name, equals, number = (part.strip() for part in entry.partition("="))
        try:
            found[name] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name or not 0 < found[name] < float("inf"):
            raise ConfigError(f"{config.origins.get(setting, setting)}: {setting} has entries MODEL = NUMBER")
    return found
