"""Queues for the tests, and patience with their brokers."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select

from osler.domain.events import Job
from osler.queue.brokered import BrokeredQueue
from osler.queue.embedded import EmbeddedQueue
from osler.queue.ledger import ready
from osler.queue.port import Queue
from osler.queue.transport import Transport
from osler.storage.database import Database
from osler.storage.tables import job as table

SHORT_DELAYS_S = (0.05, 0.2)
SETTLED_S = 1.0
"""A broker that has brought something brings no more for now, when it has been silent for so long."""


@dataclass(frozen=True)
class QueueSite:
    """Where a queue of one kind runs; ``broker`` makes a transport with names of its own."""

    database: str
    broker: Callable[..., Transport] | None

    def open(self, database: Database, **terms: Any) -> Queue:
        if self.broker is None:
            return EmbeddedQueue(database, **terms)
        return BrokeredQueue(database, self.broker(f"osler-{secrets.token_hex(4)}"), **terms)


class SharedTransport:
    """A transport that several tests use in turn: Kafka takes seconds to let a consumer into its group.

    What an earlier test left there is about jobs that this test's ledger does not know.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Stay connected."""


class PatientQueue:
    """A queue whose ``claim`` waits until a broker has brought what the ledger says may be claimed."""

    def __init__(self, queue: Queue, database: Database, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._database = database
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def claim(self, owner: str, *, models: Sequence[str], limit: int) -> list[Job]:
        if isinstance(self._queue, EmbeddedQueue):
            return self._queue.claim(owner, models=models, limit=limit)
        deadline = time.monotonic() + 120
        while True:
            while self._queue.relay():
                pass
            self._await_delivery(models)
            jobs = self._queue.claim(owner, models=models, limit=limit)
            if jobs or not self._claimable(models) or time.monotonic() > deadline:
                return jobs

    def _claimable(self, models: Sequence[str]) -> set[str]:
        query = select(table.c.id).where(and_(ready(self._clock()), table.c.model.in_(models)))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def _await_delivery(self, models: Sequence[str]) -> None:
        """Wait until all that the broker has is here: which of several comes first is not the queue's promise."""
        transport = self._queue._transport
        deadline = time.monotonic() + 60  # a Kafka group takes its time to see new topics
        here, grew_at = transport.buffer.ids(), time.monotonic()
        while (expected := self._claimable(models)) and time.monotonic() < deadline:
            self._queue._settle_ended()  # or a broker that has brought what it may bring waits for ever
            self._queue.relay()
            transport.receive(models, 0)
            before, here = here, transport.buffer.ids()
            if here - before:
                grew_at = time.monotonic()
            if expected <= here or (here and time.monotonic() - grew_at > SETTLED_S):
                return
