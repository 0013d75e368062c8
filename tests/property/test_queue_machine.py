"""Under any interleaving of claim, crash, lease expiry, retry and completion no job is lost or completed twice.

A reference queue in a few lines of Python predicts each answer of the real one, which runs on SQLite and PostgreSQL.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from sqlalchemy import delete

from osler.domain.events import Deidentified, Job
from osler.domain.states import AgeBand, JobState, Priority
from osler.queue.embedded import EmbeddedQueue
from osler.storage.database import Database, sqlite_url
from osler.storage.tables import job as table
from osler.storage.tables import metadata
from osler.testing import FakeClock

LEASE_S, ATTEMPTS, BACKOFF_S, AGEING_S = 30, 2, 2, 100
MODELS = ("a@1", "b@1")
RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


@dataclass
class Expected:
    """What the reference knows of one job."""

    study: str
    model: str
    priority: Priority
    created_at: float
    available_at: float
    state: JobState = JobState.SCHEDULED
    dead: bool = False
    attempts: int = 0
    lease: str | None = None
    lease_until: float = 0.0
    completions: int = 0

    @property
    def order(self) -> tuple[float, float]:
        return (self.created_at + RANK[self.priority] * AGEING_S, self.created_at)

    def claimable(self, now: float) -> bool:
        if self.state is JobState.SCHEDULED:
            return self.available_at <= now
        return self.state is JobState.IN_PROGRESS and self.lease_until <= now

    def back(self, available_at: float) -> None:
        self.state, self.available_at, self.lease = JobState.SCHEDULED, available_at, None

    def end(self, state: JobState, *, dead: bool = False) -> None:
        self.state, self.dead, self.lease = state, dead, None


class QueueMachine(RuleBasedStateMachine):
    database: ClassVar[Database]
    claims = Bundle("claims")  # kept after their lease ended: their holder may come back from the dead

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.database.write(lambda connection: connection.execute(delete(table)))
        self.queue = EmbeddedQueue(
            self.database,
            lease_s=LEASE_S,
            max_attempts=ATTEMPTS,
            backoff_s=BACKOFF_S,
            ageing_s=AGEING_S,
            clock=self.clock,
        )
        self.expected: list[Expected] = []

    def of(self, job: Job) -> Expected:
        return next(e for e in self.expected if (e.study, e.model) == (job.study.study_instance_uid, job.model))

    def holds(self, job: Job) -> bool:
        return self.of(job).lease == job.lease_owner

    @rule(priority=st.sampled_from(Priority), model=st.sampled_from(MODELS))
    def put(self, priority: Priority, model: str) -> None:
        self.clock.advance(0.01)  # no two at once: the order within an instant is not the queue's promise
        number, now = len(self.expected), self.clock.now
        study = Deidentified(f"2.25.{number}", 1, (), AgeBand.UNKNOWN, priority)
        assert self.database.write(lambda connection: self.queue.put(connection, study, model))
        assert not self.database.write(lambda connection: self.queue.put(connection, study, model))
        self.expected.append(Expected(study.study_instance_uid, model, priority, now, now))

    @rule(seconds=st.sampled_from([0.5, 2.0, 7.0, 29.0, 30.0, 101.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(
        target=claims,
        models=st.sampled_from([MODELS, MODELS[:1], MODELS[1:]]),
        limit=st.integers(1, 3),
        owner=st.sampled_from(["w1", "w2"]),
    )
    def claim(self, models: tuple[str, ...], limit: int, owner: str):
        return multiple(*self._claim(models, limit, owner))

    def _claim(self, models: tuple[str, ...], limit: int, owner: str) -> list[Job]:
        now = self.clock.now
        jobs = self.queue.claim(owner, models=models, limit=limit)
        spent = [e for e in self.expected if e.claimable(now) and e.lease and e.attempts >= ATTEMPTS]
        ready = sorted(
            (e for e in self.expected if e.claimable(now) and e.model in models and e not in spent),
            key=lambda e: e.order,
        )
        if ready or any(e.model in models for e in spent):
            for e in spent:
                e.end(JobState.CANCELED, dead=True)
        wanted = [e for e in ready if e.model == ready[0].model][:limit]
        assert [(job.study.study_instance_uid, job.model) for job in jobs] == [(e.study, e.model) for e in wanted]
        for job, e in zip(jobs, wanted, strict=True):
            e.attempts += 1
            assert (job.attempts, job.lease_until) == (e.attempts, now + LEASE_S)
            assert e.lease != job.lease_owner
            e.state, e.lease, e.lease_until = JobState.IN_PROGRESS, job.lease_owner, job.lease_until
        return jobs

    @rule(target=claims, times=st.integers(1, ATTEMPTS + 1))
    def a_job_ends_its_worker(self, times: int):
        """What was claimed may still be completed by a worker that was only slow."""
        jobs: list[Job] = []
        for _ in range(times):
            jobs += self._claim(MODELS, 1, "w3")
            self.clock.now = max([self.clock.now, *(job.lease_until for job in jobs)])
        return multiple(*jobs)

    @rule(job=claims)
    def extend(self, job: Job) -> None:
        held = self.queue.extend([job])
        assert bool(held) == self.holds(job)
        if held:
            self.of(job).lease_until = self.clock.now + LEASE_S
            assert held[0].lease_until == self.clock.now + LEASE_S

    @rule(job=claims)
    def complete(self, job: Job) -> None:
        done = self.database.write(lambda connection: self.queue.complete(connection, job))
        assert done == self.holds(job)
        if done:
            e = self.of(job)
            e.completions += 1
            e.end(JobState.COMPLETED)

    @rule(job=claims, retryable=st.booleans())
    def fail(self, job: Job, retryable: bool) -> None:
        held = self.holds(job)
        assert self.queue.fail(job, "it did not work", retryable=retryable) == held
        if held and retryable and job.attempts < ATTEMPTS:
            self.of(job).back(self.clock.now + BACKOFF_S * 2 ** (job.attempts - 1))
        elif held:
            self.of(job).end(JobState.CANCELED, dead=True)

    @rule(job=claims)
    def release(self, job: Job) -> None:
        held = self.holds(job)
        assert self.queue.release(job, "the disk is full") == held
        if held:
            self.of(job).back(self.clock.now + BACKOFF_S)
            self.of(job).attempts -= 1

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), operation=st.sampled_from(["retry", "discard"]))
    def operate(self, data: st.DataObject, operation: str) -> None:
        entries = self.queue.entries()
        entry = data.draw(st.sampled_from(entries), label="job")
        e = next(e for e in self.expected if (e.study, e.model) == (entry.study_instance_uid, entry.model))
        changed = getattr(self.queue, operation)(entry.id)
        if operation == "retry":
            assert changed == (e.state is JobState.CANCELED)
            if changed:
                e.back(self.clock.now)
                e.attempts, e.dead = 0, False
        else:
            assert changed == (e.dead or e.state in (JobState.SCHEDULED, JobState.IN_PROGRESS))
            if changed:
                e.end(JobState.CANCELED)

    @invariant()
    def every_job_is_where_the_reference_says(self) -> None:
        found = {(e.study_instance_uid, e.model): (e.state, e.dead, e.attempts) for e in self.queue.entries()}
        assert found == {(e.study, e.model): (e.state, e.dead, e.attempts) for e in self.expected}
        assert all(e.completions <= 1 for e in self.expected)

    def teardown(self) -> None:
        """Whatever happened, the rest can be finished: no job is stuck."""
        for _ in range(3 * len(self.expected) + 3):
            self.clock.advance(601)
            for job in self.queue.claim("last", models=MODELS, limit=10):
                assert self.database.write(lambda connection, job=job: self.queue.complete(connection, job))
        finished = {JobState.COMPLETED, JobState.CANCELED}
        assert all(entry.state in finished for entry in self.queue.entries())
        assert len(self.queue.entries()) == len(self.expected)


@pytest.fixture(scope="module", autouse=True)
def _database() -> Iterator[None]:
    """One ledger for all examples, in memory where there is a file system for that."""
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as folder:
        QueueMachine.database = Database(sqlite_url(Path(folder) / "ledger.db"))
        metadata.create_all(QueueMachine.database.engine)
        yield
        QueueMachine.database.close()


class PostgresqlQueueMachine(QueueMachine):
    """The same on PostgreSQL, where a claim skips the rows that another holds."""


@pytest.fixture(scope="module")
def _postgresql(new_postgresql: Callable[[], str]) -> Iterator[None]:
    PostgresqlQueueMachine.database = Database(new_postgresql())
    yield
    PostgresqlQueueMachine.database.close()


TestPostgresqlQueue = pytest.mark.usefixtures("_postgresql")(PostgresqlQueueMachine.TestCase)
TestPostgresqlQueue.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
