"""Queues of every kind, each on a fresh ledger, with a clock that stands still."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from brokers import kafka, kafka_url, rabbitmq, rabbitmq_server
from osler.queue.port import Queue
from osler.storage.database import Database
from osler.testing import FakeClock
from queue_site import PatientQueue, QueueSite

__all__ = ["kafka", "kafka_url", "rabbitmq", "rabbitmq_server"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgresql", "rabbitmq", "kafka"])
def site(request: pytest.FixtureRequest) -> QueueSite:
    """Return the database and the broker of a test, once for each kind of queue."""
    kind: str = request.param
    broker = None if kind in ("sqlite", "postgresql") else request.getfixturevalue(kind)
    return QueueSite(database="postgresql" if kind == "postgresql" else "sqlite", broker=broker)


@pytest.fixture
def database(site: QueueSite, request: pytest.FixtureRequest, tmp_path) -> Iterator[Database]:
    if site.database == "postgresql":
        opened = Database(request.getfixturevalue("new_postgresql")())
    else:
        opened = Database(request.getfixturevalue("new_sqlite")(tmp_path / "osler.db"))
    yield opened
    opened.close()


@pytest.fixture
def new_queue(site: QueueSite, database: Database, clock: FakeClock) -> Iterator[Callable[..., Queue]]:
    """Return a function that opens a queue of the site's kind; its arguments are terms of the ledger."""
    with contextlib.ExitStack() as stack:

        def make(**terms: float) -> Queue:
            opened = site.open(database, clock=clock, **{"lease_s": 30, "max_attempts": 3, "ageing_s": 100, **terms})
            stack.callback(opened.close)
            return PatientQueue(opened, database, clock)

        yield make


@pytest.fixture
def queue(new_queue: Callable[..., Queue]) -> Queue:
    return new_queue()
