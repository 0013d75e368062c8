"""What every queue does, rule by rule: embedded in both databases, and over each broker.

The ledger's clock stands still; a broker's does not, so the fixture's ``claim`` waits for what the broker is to bring.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.states import AgeBand, JobState, Priority
from osler.errors import IntegrityError, NotFound
from osler.queue.port import Queue
from osler.storage.database import Database
from osler.storage.tables import job as table

MODEL = "fake@1.0.0"
DAYS_S = 5 * 86_400.0


def a_study(number: int = 1, *, priority: Priority = Priority.MEDIUM, revision: int = 1) -> Deidentified:
    instance = DeidentifiedInstance(f"2.25.{number}3", f"2.25.{number}2", "1.2.840.10008.5.1.4.1.1.1", "ab" * 32)
    return Deidentified(f"2.25.{number}", revision, (instance,), AgeBand.CHILD, priority)


@pytest.fixture
def put(queue: Queue, database: Database) -> Callable[..., bool]:
    return lambda study, model=MODEL: database.write(lambda connection: queue.put(connection, study, model))


def complete(queue: Queue, database: Database, job: Job) -> bool:
    return database.write(lambda connection: queue.complete(connection, job))


def only(queue: Queue, model: str = MODEL) -> Job:
    (job,) = queue.claim("w", models=[model], limit=10)
    return job


def test_a_job_comes_back_as_it_was_put(queue, put):
    study = a_study(priority=Priority.HIGH)
    assert put(study)
    job = only(queue)
    assert job.study == study
    assert (job.model, job.attempts) == (MODEL, 1)


@pytest.mark.parametrize(
    ("other", "model", "new"),
    [
        (a_study(), MODEL, False),
        (a_study(priority=Priority.HIGH), MODEL, False),
        (a_study(revision=2), MODEL, True),
        (a_study(), "other@1.0.0", True),
        (a_study(2), MODEL, True),
    ],
    ids=["the same", "another priority", "another revision", "another model", "another study"],
)
def test_a_revision_is_read_once_by_each_model(put, other, model, new):
    assert put(a_study())
    assert put(other, model) is new


def test_only_what_is_deidentified_may_be_queued(queue, database):
    with pytest.raises(IntegrityError, match="de-identified"):
        database.write(lambda connection: queue.put(connection, {"study_instance_uid": "1.2.3"}, MODEL))
    assert queue.entries() == []


def test_the_row_holds_pseudonyms_references_and_the_age_band_alone(put, database):
    put(a_study())
    with database.read() as connection:
        body = json.loads(connection.execute(select(table.c.body)).scalar_one())
    assert body == {
        "age_band": "6-11y",
        "instances": [["2.25.13", "2.25.12", "1.2.840.10008.5.1.4.1.1.1", "ab" * 32]],
        "trace": "",
    }


def test_a_put_that_is_rolled_back_leaves_no_job(queue, database):
    def change(connection):
        queue.put(connection, a_study(), MODEL)
        raise NotFound("something else of the same transaction")

    with pytest.raises(NotFound):
        database.write(change)
    assert queue.claim("w", models=[MODEL], limit=1) == []


@pytest.mark.parametrize(
    ("arrivals", "order"),
    [
        ([(0, "LOW"), (1, "MEDIUM"), (2, "HIGH")], [2, 1, 0]),
        ([(0, "MEDIUM"), (1, "MEDIUM"), (2, "MEDIUM")], [0, 1, 2]),
        ([(0, "LOW"), (99, "MEDIUM")], [1, 0]),
        ([(0, "LOW"), (101, "MEDIUM")], [0, 1]),
        ([(0, "MEDIUM"), (99, "HIGH")], [1, 0]),
        ([(0, "MEDIUM"), (101, "HIGH")], [0, 1]),
        ([(0, "LOW"), (199, "HIGH")], [1, 0]),
        ([(0, "LOW"), (201, "HIGH")], [0, 1]),
    ],
)
def test_the_most_urgent_goes_first_and_waiting_makes_urgent(queue, put, clock, arrivals, order):
    start = clock.now
    for number, (at, priority) in enumerate(arrivals):
        clock.now = start + at
        put(a_study(number, priority=Priority(priority)))
    claimed = [queue.claim("w", models=[MODEL], limit=1)[0] for _ in arrivals]
    assert [int(job.study.study_instance_uid.removeprefix("2.25.")) for job in claimed] == order


def test_a_low_job_is_not_starved_by_a_stream_of_urgent_ones(queue, put, clock, database):
    put(a_study(0, priority=Priority.LOW))
    began = clock.now
    for number in range(1, 100):
        put(a_study(number, priority=Priority.HIGH))
        (job,) = queue.claim("w", models=[MODEL], limit=1)
        if job.study.priority is Priority.LOW:
            break
        assert complete(queue, database, job)
        clock.advance(9)
    assert 200 <= clock.now - began < 210  # two priorities below the urgent ones, 100 s for each


def test_a_claim_holds_jobs_of_one_model(queue, put, clock):
    for number, model in enumerate(["a@1", "b@1", "a@1", "b@1"]):
        put(a_study(number), model)
        clock.advance(1)
    first = queue.claim("w", models=["a@1", "b@1"], limit=10)
    second = queue.claim("w", models=["a@1", "b@1"], limit=10)
    assert [job.model for job in first] == ["a@1"] * 2
    assert [job.model for job in second] == ["b@1"] * 2
    assert queue.claim("w", models=["a@1", "b@1"], limit=10) == []


def test_a_claim_takes_no_model_that_was_not_asked_for_and_no_more_than_the_limit(queue, put, site):
    for number in range(5):
        put(a_study(number))
    assert queue.claim("w", models=["other@1.0.0"], limit=10) == []
    assert queue.claim("w", models=[], limit=10) == []
    claimed = []
    while len(claimed) < 5:  # a broker may bring them in parts
        jobs = queue.claim("w", models=[MODEL], limit=3)
        assert 1 <= len(jobs) <= 3
        if site.broker is None:
            assert len(jobs) == min(3, 5 - len(claimed))
        claimed += jobs
    assert len({job.id for job in claimed}) == 5


def test_a_leased_job_is_nobody_elses_until_the_lease_ends(queue, put, clock):
    put(a_study())
    only(queue)
    clock.advance(29.9)
    assert queue.claim("other", models=[MODEL], limit=1) == []
    clock.advance(0.1)
    (again,) = queue.claim("other", models=[MODEL], limit=1)
    assert again.attempts == 2


def test_a_sign_keeps_the_lease(queue, put, clock):
    put(a_study())
    job = only(queue)
    for _ in range(5):
        clock.advance(20)
        (job,) = queue.extend([job])
        assert job.lease_until == clock.now + 30
    assert queue.claim("other", models=[MODEL], limit=1) == []


def test_who_lost_the_lease_can_do_nothing_more(queue, put, clock, database):
    put(a_study())
    lost = only(queue)
    clock.advance(30)
    held = only(queue)
    assert queue.extend([lost]) == []
    assert not complete(queue, database, lost)
    assert not queue.fail(lost, "late")
    assert not queue.release(lost, "late")
    assert queue.extend([lost, held]) == [replace(held, lease_until=clock.now + 30)]
    assert complete(queue, database, held)


def test_a_late_completion_counts_while_nobody_else_took_the_job(queue, put, clock, database):
    put(a_study())
    job = only(queue)
    clock.advance(1000)
    assert complete(queue, database, job)
    assert not complete(queue, database, job)
    assert queue.counts()["completed"] == 1


def test_completion_is_part_of_the_callers_transaction(queue, put, database):
    put(a_study())
    job = only(queue)

    def change(connection):
        assert queue.complete(connection, job)
        raise NotFound("the result could not be saved")

    with pytest.raises(NotFound):
        database.write(change)
    assert complete(queue, database, job)


def test_backoff_doubles_and_the_last_failure_is_a_dead_letter(queue, put, clock):
    put(a_study())
    assert queue.fail(only(queue), "first")
    assert queue.entries()[0].available_at == clock.now + 2
    clock.advance(1.9)
    assert queue.claim("w", models=[MODEL], limit=1) == []
    clock.advance(0.1)
    assert queue.fail(only(queue), "second")
    assert queue.entries()[0].available_at == clock.now + 4
    clock.advance(4)
    assert queue.fail(only(queue), "third")
    (entry,) = queue.entries(dead=True)
    assert (entry.state, entry.reason, entry.attempts) == (JobState.CANCELED, "third", 3)
    clock.advance(10_000)
    assert queue.claim("w", models=[MODEL], limit=1) == []


def test_backoff_has_an_end(new_queue, clock, put):
    queue = new_queue(max_attempts=50)
    put(a_study())
    for _ in range(20):
        queue.fail(only(queue), "again")
        assert queue.entries()[0].available_at <= clock.now + 600
        clock.advance(600)


def test_what_another_attempt_cannot_mend_is_set_aside_at_once(queue, put):
    put(a_study())
    assert queue.fail(only(queue), "the model broke its contract", retryable=False)
    (entry,) = queue.entries(dead=True)
    assert (entry.attempts, entry.reason) == (1, "the model broke its contract")


def test_a_job_that_ends_every_worker_is_set_aside(queue, put, clock):
    put(a_study())
    for _ in range(3):
        only(queue)
        clock.advance(30)
    assert queue.claim("w", models=[MODEL], limit=1) == []
    (entry,) = queue.entries(dead=True)
    assert entry.reason == "the worker ended or gave no sign, 3 times"


def test_a_job_given_back_keeps_its_attempts(queue, put, clock):
    put(a_study())
    for _ in range(10):
        assert queue.release(only(queue), "the disk is full")
        assert queue.claim("w", models=[MODEL], limit=1) == []
        clock.advance(2)
    assert only(queue).attempts == 1


def test_an_operator_retries_a_dead_letter(queue, put, database):
    put(a_study())
    queue.fail(only(queue), "broken", retryable=False)
    (entry,) = queue.entries(dead=True)
    assert queue.retry(entry.id)
    assert not queue.retry(entry.id)
    assert queue.entries(dead=True) == []
    job = only(queue)
    assert job.attempts == 1
    assert complete(queue, database, job)
    assert not queue.retry(entry.id)


def test_a_lease_from_before_a_retry_is_lost(queue, put, clock, database):
    put(a_study())
    before = only(queue)
    queue.discard(before.id)
    queue.retry(before.id)
    after = only(queue)
    assert (before.attempts, before.id) == (after.attempts, after.id)
    assert not complete(queue, database, before)
    assert complete(queue, database, after)


def test_an_operator_discards_a_job_whoever_works_on_it(queue, put, database):
    put(a_study())
    job = only(queue)
    assert queue.discard(job.id)
    assert not queue.discard(job.id)
    assert not complete(queue, database, job)
    (entry,) = queue.entries(states=[JobState.CANCELED])
    assert (entry.dead, entry.reason) == (False, "discarded by an operator")


def test_a_completed_job_cannot_be_discarded(queue, put, database):
    put(a_study())
    job = only(queue)
    complete(queue, database, job)
    assert not queue.discard(job.id)
    assert queue.counts()["completed"] == 1


@pytest.mark.parametrize("operation", ["retry", "discard"])
def test_an_operator_is_told_when_there_is_no_such_job(queue, operation):
    with pytest.raises(NotFound):
        getattr(queue, operation)("nothing")


@pytest.mark.parametrize("operation", ["retry", "discard"])
def test_an_operators_act_joins_the_transaction_of_its_audit_event(queue, put, database, operation):
    put(a_study())
    job = only(queue)
    if operation == "retry":
        queue.fail(job, "broken", retryable=False)
    before = queue.entries()

    def change(connection):
        assert getattr(queue, operation)(job.id, connection=connection)
        raise NotFound("the audit log")

    with pytest.raises(NotFound):
        database.write(change)
    assert queue.entries() == before


def test_counts(queue, put, database):
    for number in range(5):
        put(a_study(number))
    jobs = queue.claim("w", models=[MODEL], limit=3)
    complete(queue, database, jobs[0])
    queue.fail(jobs[1], "broken", retryable=False)
    assert queue.counts() == {"scheduled": 2, "in progress": 1, "completed": 1, "canceled": 1, "dead": 1}


def test_many_workers_at_once_share_the_jobs_out(new_queue, database):
    queue = new_queue(lease_s=600)
    count = 60

    def put_all(connection):
        return [queue.put(connection, a_study(number), MODEL) for number in range(count)]

    assert all(database.write(put_all))
    done: list[str] = []
    twice: list[str] = []

    def work(owner: str) -> None:
        while jobs := queue.claim(owner, models=[MODEL], limit=4):
            for job in jobs:
                (done if complete(queue, database, job) else twice).append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == len(set(done)) == count
    assert twice == []


class TestClockSetRight:
    """After a clock that was five days ahead nothing waits for five days."""

    def test_a_lease_of_that_time_has_ended(self, queue, put, clock):
        put(a_study())
        clock.advance(DAYS_S)
        before = only(queue)
        clock.advance(-DAYS_S)
        assert only(queue).attempts == before.attempts + 1

    def test_an_attempt_that_was_put_off_then_is_due(self, queue, put, clock):
        put(a_study())
        clock.advance(DAYS_S)
        queue.fail(only(queue), "not now")
        clock.advance(-DAYS_S)
        assert only(queue).attempts == 2

    def test_what_came_then_does_not_stand_behind_all_that_comes(self, queue, put, clock):
        clock.advance(DAYS_S)
        put(a_study(1))
        clock.advance(-DAYS_S)
        put(a_study(2))
        (first,) = queue.claim("w", models=[MODEL], limit=1)
        assert first.study == a_study(1)
