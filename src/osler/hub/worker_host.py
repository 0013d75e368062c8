"""A host of workers by itself, which knows no key: what its models say is handed in to the hub."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from osler.config import Config
from osler.domain.events import Job
from osler.domain.findings import Inference
from osler.hub.heartbeats import Heartbeats
from osler.hub.loop import Loop
from osler.hub.serving import Serving
from osler.hub.worker_pool import WorkerPool
from osler.monitor.flow import inferred
from osler.record.heatmaps import with_heatmaps
from osler.storage.handed_in import hand_in
from osler.storage.notify import Listener
from osler.storage.workers import BEAT_S
from osler.stores import WorkerStores
from osler.tracing import open_tracer

_STOP_S: Final = 20.0

log = structlog.get_logger(__name__)


class WorkerHost:
    """Works until it is stopped.

    Parameters
    ----------
    stores : WorkerStores
    config : Config
    clock : callable
        Seconds since the epoch, UTC.

    Raises
    ------
    ConfigError, IntegrityError, PluginError, PeerUnavailable
        If an enabled model cannot be had, or does not load.
    """

    def __init__(self, stores: WorkerStores, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self.stores = stores
        self.broken = threading.Event()
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.tracer = open_tracer(config, self.owner)
        self.serving = Serving(config, stores.database)
        self.pool = WorkerPool(stores.queue, stores.deidentified, config, record=self.hand_in, owner=self.owner)
        self._clock = clock
        self.heartbeats = Heartbeats(stores.database, self.pool, clock=clock)
        self._listener = Listener(stores.database, lambda step: self.pool.wake() if step == "infer" else None)
        steps = {
            "models": (self._look_at_models, config.number("registry.look_s")),
            "heartbeat": (self.heartbeats.beat, BEAT_S),
        }
        self._loops = [
            Loop(name, step, every_s=every_s, on_broken=self._break) for name, (step, every_s) in steps.items()
        ]

    def start(self) -> None:
        """Begin; returns when the workers run."""
        self.pool.start(self.serving, at_least=1)
        for loop in self._loops:
            loop.start()
        self._listener.start()

    def stop(self) -> None:
        """Claim nothing more, and let what is in work end."""
        self._listener.stop()
        self.pool.drain()
        for loop in self._loops:
            loop.stop(_STOP_S)
        self.pool.join(_STOP_S)
        self.heartbeats.end()
        self.tracer.close()

    def hand_in(self, job: Job, inference: Inference, heatmaps: Mapping[str, bytes]) -> bool:
        """Leave a result for the hub to record; False when the lease was lost and nothing was left."""
        inferred(self.tracer, job, inference)
        inference = with_heatmaps(inference, heatmaps, keep=self.stores.deidentified.put)
        return self.stores.database.write(lambda connection: hand_in(connection, job, inference, now=self._clock()))

    def _look_at_models(self) -> bool:
        if self.serving.look():
            self.pool.use(self.serving)
        return False

    def _break(self, error: BaseException) -> None:
        self.broken.set()
