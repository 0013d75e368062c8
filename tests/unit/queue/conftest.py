"""A queue in both kinds of database, with a clock that stands still."""

import pytest

from osler.queue.embedded import EmbeddedQueue
from osler.storage.database import Database
from osler.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(database: Database, clock: FakeClock) -> EmbeddedQueue:
    return EmbeddedQueue(database, lease_s=30, max_attempts=3, backoff_s=2, ageing_s=100, clock=clock)
