from collections.abc import Callable

import pytest
from sqlalchemy import update

from osler.config import Config, Destination
from osler.domain.events import Delivery, Recorded
from osler.domain.states import DeliveryState
from osler.errors import NotFound
from osler.publish.outbox import LONGEST_BACKOFF_S, Entry, Outbox, recorded_result, superseded
from osler.storage.tables import inference
from osler.testing import FakeClock
from osler.testing.ledger import Ledger
from osler.testing.results import radiograph

PACS = Destination("pacs", "dicom", address="127.0.0.1:4242", ae_title="PACS")
PAGER = Destination("pager", "webhook", url="http://127.0.0.1:9/x", secret="s", when="critical")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(2000.0)


@pytest.fixture
def outbox(ledger: Ledger, clock: FakeClock) -> Outbox:
    return Outbox(ledger.database, clock=clock, backoff_s=5.0, max_attempts=4, lease_s=60.0)


@pytest.fixture
def recorded(record: Callable[..., Recorded], make_config: Callable[..., Config]) -> Recorded:
    return record(config=make_config(PACS, PAGER))


def claim(outbox: Outbox, owner: str = "one", **options: object) -> list[Entry]:
    return outbox.claim(owner, limit=10, **options)  # type: ignore[arg-type]


def done(ledger: Ledger, outbox: Outbox, entry: Entry, delivery: Delivery | None = None) -> bool:
    return ledger.database.write(lambda c: outbox.done(c, entry, delivery or Delivery("made/1")))


def put_off(ledger: Ledger, outbox: Outbox, entry: Entry, *, retryable: bool = True) -> DeliveryState:
    return ledger.database.write(lambda c: outbox.retry(c, entry, "no answer", retryable=retryable))


def test_alerts_go_first(outbox: Outbox, recorded: Recorded) -> None:
    assert next(e.kind for e in claim(outbox)) == "alert"


def test_an_entry_carries_its_result(outbox: Outbox, recorded: Recorded) -> None:
    entry = next(e for e in claim(outbox) if e.kind == "sr")

    assert entry.recorded == recorded
    assert (entry.destination, entry.attempts) == ("pacs", 1)
    assert entry.idempotency_key == f"{recorded.id}/sr/pacs"


def test_a_claim_can_be_limited_to_kinds(outbox: Outbox, recorded: Recorded) -> None:
    assert {e.kind for e in claim(outbox, kinds=("fhir", "sr"))} == {"fhir", "sr"}
    assert {e.kind for e in claim(outbox, "two")} == {"alert"}


def test_an_owner_takes_up_again_what_it_could_not_put_down(ledger: Ledger, outbox: Outbox, recorded: Recorded) -> None:
    lost = claim(outbox, kinds=("sr",))
    assert claim(outbox, "two", kinds=("sr",)) == []
    (again,) = claim(outbox, kinds=("sr",))
    assert again.attempts == 2
    assert not done(ledger, outbox, lost[0])
    assert done(ledger, outbox, again)


class TestLease:
    def test_nobody_else_gets_what_is_claimed(self, outbox: Outbox, recorded: Recorded) -> None:
        assert len(claim(outbox)) == 3
        assert claim(outbox, "two") == []

    def test_it_runs_out(self, outbox: Outbox, recorded: Recorded, clock: FakeClock) -> None:
        claim(outbox)
        clock.advance(59.9)
        assert claim(outbox, "two") == []
        clock.advance(0.2)
        assert [e.attempts for e in claim(outbox, "two")] == [2, 2, 2]

    def test_it_runs_out_when_a_clock_that_was_five_days_ahead_is_set_right(
        self, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        clock.advance(5 * 86_400)
        claim(outbox)
        clock.advance(-5 * 86_400)
        assert [e.attempts for e in claim(outbox, "two")] == [2, 2, 2]

    def test_what_came_while_the_clock_was_ahead_does_not_stand_behind_all_that_comes(
        self, outbox: Outbox, record: Callable[..., Recorded], make_config: Callable[..., Config], clock: FakeClock
    ) -> None:
        clock.advance(5 * 86_400)
        early = record(config=make_config(PACS), now=clock.now)
        clock.advance(-5 * 86_400)
        record(config=make_config(PACS), now=clock.now)
        assert [e.recorded for e in outbox.claim("one", kinds=("sr",), limit=1)] == [early]

    def test_a_late_answer_counts_when_nobody_took_over(
        self, ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        (entry,) = claim(outbox, kinds=("sr",))
        clock.advance(1000)
        assert done(ledger, outbox, entry) is True
        assert claim(outbox, kinds=("sr",)) == []

    def test_a_late_answer_does_not_count_when_another_took_over(
        self, ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        (first,) = claim(outbox, kinds=("sr",))
        clock.advance(1000)
        (second,) = claim(outbox, "two", kinds=("sr",))

        assert done(ledger, outbox, first) is False
        assert put_off(ledger, outbox, first, retryable=False) is DeliveryState.FAILED
        assert [r.state for r in outbox.entries() if r.kind == "sr"] == [DeliveryState.PENDING]
        assert done(ledger, outbox, second) is True

    def test_the_same_owner_after_its_own_lease_ran_out(
        self, ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        (first,) = claim(outbox, kinds=("sr",))
        clock.advance(1000)
        (second,) = claim(outbox, kinds=("sr",))

        assert done(ledger, outbox, first) is False
        assert done(ledger, outbox, second) is True

    def test_a_restart_frees_what_the_dead_one_held(self, outbox: Outbox, recorded: Recorded) -> None:
        claim(outbox, "hub-a%/1")
        assert outbox.release("hub-b") == 0
        assert outbox.release("hub-_") == 0
        assert outbox.release("hub-a%/") == 3
        assert len(claim(outbox, "hub-a%/2")) == 3


class TestOutcome:
    def test_delivered(self, ledger: Ledger, outbox: Outbox, recorded: Recorded) -> None:
        (entry,) = claim(outbox, kinds=("sr",))

        done(ledger, outbox, entry, Delivery("2.25.7", "status B000"))

        (row,) = outbox.entries(state=DeliveryState.DELIVERED)
        assert (row.kind, row.reference, row.reason) == ("sr", "2.25.7", "status B000")
        assert done(ledger, outbox, entry) is False

    def test_put_off_longer_each_time(
        self, ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        waits = []
        for _ in range(3):
            (entry,) = claim(outbox, kinds=("sr",))
            assert put_off(ledger, outbox, entry) is DeliveryState.PENDING
            before = clock.now
            while not (again := [r for r in outbox.entries() if r.kind == "sr" and r.available_at <= clock.now]):
                clock.advance(1.0)
            assert again[0].reason == "no answer"
            waits.append(clock.now - before)
        assert waits == [5.0, 10.0, 20.0]

    def test_never_longer_than_ten_minutes(self, ledger: Ledger, recorded: Recorded, clock: FakeClock) -> None:
        outbox = Outbox(ledger.database, clock=clock, backoff_s=500.0, max_attempts=9)
        for _ in range(3):
            (entry,) = claim(outbox, kinds=("sr",))
            put_off(ledger, outbox, entry)
            clock.advance(LONGEST_BACKOFF_S)

        assert len(claim(outbox, kinds=("sr",))) == 1

    def test_failed_when_the_attempts_are_spent(
        self, ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock
    ) -> None:
        states = []
        for _ in range(4):
            (entry,) = claim(outbox, kinds=("sr",))
            states.append(put_off(ledger, outbox, entry))
            clock.advance(600)
        assert states == [DeliveryState.PENDING] * 3 + [DeliveryState.FAILED]
        assert claim(outbox, kinds=("sr",)) == []

    def test_failed_at_once_when_it_cannot_succeed(self, ledger: Ledger, outbox: Outbox, recorded: Recorded) -> None:
        (entry,) = claim(outbox, kinds=("sr",))
        assert put_off(ledger, outbox, entry, retryable=False) is DeliveryState.FAILED
        assert outbox.counts()[("sr", "failed")] == 1

    def test_a_person_can_set_it_up_again(self, ledger: Ledger, outbox: Outbox, recorded: Recorded) -> None:
        (entry,) = claim(outbox, kinds=("sr",))
        put_off(ledger, outbox, entry, retryable=False)

        ledger.database.write(lambda c: outbox.again(c, entry.id))

        (again,) = claim(outbox, kinds=("sr",))
        assert again.attempts == 1
        with pytest.raises(NotFound):
            ledger.database.write(lambda c: outbox.again(c, entry.id))


def test_a_result_that_cannot_be_read_holds_up_no_other(
    ledger: Ledger, outbox: Outbox, recorded: Recorded, record: Callable[..., Recorded]
) -> None:
    record(radiograph(), now=1500.0)
    damaged = update(inference).where(inference.c.id == recorded.id).values(body="{}")
    ledger.database.write(lambda c: c.execute(damaged))

    assert [e.kind for e in claim(outbox)] == ["fhir"]
    failed = outbox.entries(state=DeliveryState.FAILED)
    assert {r.kind for r in failed} == {"alert", "fhir", "sr"}
    assert {r.reason for r in failed} == {"the result in the ledger cannot be read"}


def test_when_the_next_one_is_due(ledger: Ledger, outbox: Outbox, recorded: Recorded, clock: FakeClock) -> None:
    assert outbox.next_due() == recorded.recorded_at
    entries = claim(outbox)
    assert outbox.next_due() == clock.now + 60.0
    for entry in entries:
        put_off(ledger, outbox, entry)
    assert outbox.next_due() == clock.now + 5.0
    clock.advance(5.0)
    for entry in claim(outbox):
        done(ledger, outbox, entry)
    assert outbox.next_due() is None


def test_a_later_revision_takes_the_place_of_an_earlier(ledger: Ledger, record: Callable[..., Recorded]) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
    first = record(radiograph(**uids))
    second = record(radiograph(**uids))

    with ledger.database.read() as connection:
        assert superseded(connection, first)
        assert not superseded(connection, second)
        assert recorded_result(connection, first.id) == first
        with pytest.raises(NotFound):
            recorded_result(connection, "nothing")
