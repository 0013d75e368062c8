"""The ledger of what an edge forwards, on both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select, update

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, JobState, Priority, StudyState
from osler.storage import Database, studies
from osler.storage import edge_outbox as outbox
from osler.storage.edge_outbox import Entry, State
from osler.storage.tables import instance, job, study


def made(number: int, revision: int = 1, *, priority: Priority = Priority.MEDIUM) -> Deidentified:
    one = DeidentifiedInstance(f"2.25.{number}1", f"2.25.{number}2", "1.2", f"{number}" * 64)
    return Deidentified(f"2.25.{number}", revision, (one,), AgeBand.CHILD, priority)


@pytest.fixture
def enqueue(database: Database) -> Callable[..., Entry]:
    """Note a study as a pipeline does, and bring it into a state."""

    def note(connection: Connection, number: int, state: State, size: int, at: float) -> Entry:
        values = {"lookup": bytes([number]), "patient_lookup": b"p", "revision": 1, "priority": "MEDIUM", "attempts": 0}
        row = {"id": f"s{number}", "state": StudyState.QUEUED, "study_uid": f"2.25.{number}"}
        times = {"first_received_at": at, "last_received_at": at}
        connection.execute(insert(study), [values | row | times])
        kept = {"sop_class_uid": "1.2", "transfer_syntax_uid": "1.2", "source": "x", "revision": 1, "received_at": at}
        files = {"blob": "c" * 64, "size": size, "state": "deidentified", "deidentified_blob": f"{number}" * 64}
        ids = {"id": f"i{number}", "study_id": f"s{number}", "lookup": bytes([number])}
        connection.execute(insert(instance), [kept | files | ids])
        assert outbox.enqueue(connection, made(number), now=at)
        assert not outbox.enqueue(connection, made(number), now=at), "twice is once"
        found = outbox.find(connection, f"2.25.{number}")
        assert found is not None
        assert outbox.change(connection, found, state, size=size, forwarded_at=at)
        again = outbox.find(connection, f"2.25.{number}")
        assert again is not None
        return again

    return lambda *args: database.write(lambda connection: note(connection, *args))


def test_the_urgent_come_first_and_then_the_oldest(database: Database) -> None:
    with_priority = {1: Priority.MEDIUM, 2: Priority.HIGH, 3: Priority.MEDIUM}
    for number, priority in with_priority.items():
        one = made(number, priority=priority)
        database.write(lambda c, one=one, number=number: outbox.enqueue(c, one, now=10.0 - number))
    with database.read() as connection:
        found = outbox.first(connection, State.NEW, now=20.0, limit=9)
        assert outbox.first(connection, State.NEW, now=1.0) == []
    assert [e.study.study_instance_uid for e in found] == ["2.25.2", "2.25.3", "2.25.1"]


def test_a_later_revision_supersedes_what_waits_and_not_what_was_sent(database: Database) -> None:
    for number in (1, 2):
        database.write(lambda c, number=number: outbox.enqueue(c, made(number), now=1.0))
    sent = database.write(lambda c: outbox.find(c, "2.25.2"))
    assert sent is not None
    database.write(lambda c: outbox.change(c, sent, State.FORWARDED))
    for number in (1, 2):
        database.write(lambda c, number=number: outbox.enqueue(c, made(number, 2), now=2.0))
    with database.read() as connection:
        counts = outbox.counts(connection)
    assert (counts["superseded"], counts["forwarded"], counts["new"]) == (1, 1, 2)


def test_an_entry_that_moved_on_is_not_changed(database: Database, enqueue: Callable[..., Entry]) -> None:
    entry = enqueue(1, State.WAITING, 5, 1.0)
    assert database.write(lambda c: outbox.change(c, entry, State.FORWARDED))
    assert not database.write(lambda c: outbox.change(c, entry, State.REFUSED))


def test_what_was_forwarded_longest_ago_goes_first_and_what_is_read_or_on_its_way_stays(
    database: Database, enqueue: Callable[..., Entry]
) -> None:
    for number, state in enumerate((State.WAITING, State.SKIPPED, State.ANSWERED, State.FORWARDED), 1):
        enqueue(number, state, 100, float(number))
    database.write(lambda c: c.execute(update(study).where(study.c.id == "s3").values(state=StudyState.RECEIVING)))

    def next_one() -> str | None:
        with database.read() as connection:
            found = outbox.evictable(connection)
            return found and found.study.study_instance_uid

    assert next_one() == "2.25.4", "the third has more of it on its way"
    database.write(lambda c: c.execute(insert(job), [waiting_job(4)]))
    assert next_one() == "2.25.2", "the fourth is still read here, and the first is not forwarded"
    with database.read() as connection:
        assert outbox.used_bytes(connection) == 400


def waiting_job(number: int) -> dict[str, object]:
    values: dict[str, object] = {"id": "j", "idempotency_key": "k", "study_uid": f"2.25.{number}", "revision": 1}
    values |= {"model": "m@1", "priority": "MEDIUM", "state": JobState.SCHEDULED.value, "body": "{}", "attempts": 0}
    return values | {"available_at": 0.0, "dead": False, "created_at": 0.0}


def test_files_that_are_forgotten_are_made_anew_in_the_next_revision(
    database: Database, enqueue: Callable[..., Entry]
) -> None:
    entry = enqueue(1, State.SKIPPED, 100, 1.0)
    assert database.write(lambda c: outbox.forget(c, entry))
    database.write(lambda c: outbox.forgotten(c, entry))
    with database.read() as connection:
        assert outbox.used_bytes(connection) == 0
        assert studies.deidentified_instances(connection, "s1") == []

    assert database.write(lambda c: studies.reopen(c, "2.25.1", at=5.0))
    assert not database.write(lambda c: studies.reopen(c, "2.25.1", at=5.0)), "it is on its way"
    assert not database.write(lambda c: outbox.forget(c, entry)), "and needs its files"
    claim = database.write(lambda c: studies.claim_complete(c, owner="w", now=9.0, lease_s=60.0))
    assert claim is not None
    assert claim.revision == 2
    assert [one.instance_id for one in claim.instances] == ["i1"]
    database.write(lambda c: studies.mark_deidentified(c, "i1", made(1).instances[0]))
    with database.read() as connection:
        assert studies.deidentified_instances(connection, "s1") == list(made(1).instances)
        assert connection.execute(select(instance.c.state)).scalar_one() == "deidentified"
