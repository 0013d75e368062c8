"""Whose turn it is, in simulated time: sites share, STAT goes first, and nothing waits for ever."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.queue.embedded import EmbeddedQueue
from osler.storage.database import Database, sqlite_url
from osler.storage.tables import job as table
from osler.storage.tables import metadata

MODEL = "fake@1.0.0"
AGEING_S = 120.0


@dataclass
class Ward:
    """One worker that takes a second for each job, and what arrives meanwhile."""

    database: Database
    now: float = 0.0
    arrivals: list[tuple[float, str, Priority]] = field(default_factory=list)
    waited: dict[tuple[str, Priority], list[float]] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = EmbeddedQueue(self.database, ageing_s=AGEING_S, share_s=1.0, lease_s=1e6, clock=lambda: self.now)
        self.numbers = iter(range(10**6))

    def arrive(self, at: float, site: str, priority: Priority = Priority.MEDIUM, *, count: int = 1) -> None:
        self.arrivals += [(at, site, priority)] * count

    def run(self, until: float) -> None:
        self.arrivals.sort(key=lambda one: one[0])
        while self.now < until and (self.arrivals or self.queue.counts()["scheduled"]):
            due = [one for one in self.arrivals if one[0] <= self.now]
            self.arrivals = self.arrivals[len(due) :]
            for _, site, priority in due:
                self.put(site, priority)
            self.work()

    def put(self, site: str, priority: Priority) -> None:
        number = next(self.numbers)
        instance = DeidentifiedInstance(f"1.{number}", "1", "1", "blob")
        study = Deidentified(f"2.25.{number}", 1, (instance,), AgeBand.CHILD, priority)
        assert self.database.write(lambda c: self.queue.put(c, study, MODEL, site=site))

    def work(self) -> None:
        for job in self.queue.claim("w", models=[MODEL], limit=1):
            with self.database.read() as connection:
                row = connection.execute(select(table).where(table.c.id == job.id)).one()
            self.waited.setdefault((row.site, Priority(row.priority)), []).append(self.now - row.created_at)
            self.served.append(row.site)
            self.database.write(lambda c, job=job: self.queue.complete(c, job))
        self.now += 1.0


@pytest.fixture
def make_ward(tmp_path: Path) -> Iterator[Callable[[], Ward]]:
    opened: list[Database] = []

    def make() -> Ward:
        database = Database(sqlite_url(tmp_path / f"ledger{len(opened)}.db"))
        metadata.create_all(database.engine)
        opened.append(database)
        return Ward(database)

    yield make
    for database in opened:
        database.close()


def test_sites_take_turns_however_much_one_sends(make_ward):
    ward = make_ward()
    ward.arrive(0.0, "large", count=150)
    ward.arrive(10.0, "small", count=10)
    ward.run(60.0)
    assert ward.served[:10] == ["large"] * 10
    assert ward.served.count("small") == 10
    assert max(ward.waited["small", Priority.MEDIUM]) <= 25.0  # in the order of arrival it would be 140 and more


def test_one_site_alone_is_served_in_the_order_of_arrival(make_ward):
    ward = make_ward()
    for second in range(40):
        ward.arrive(second / 2, "only")
    ward.run(100.0)
    waited = ward.waited["only", Priority.MEDIUM]
    assert waited == sorted(waited)


def test_urgent_work_waits_for_nothing_but_what_is_in_work(make_ward):
    ward = make_ward()
    ward.arrive(0.0, "large", count=150)
    for second in range(5, 100, 10):
        ward.arrive(second + 0.5, "large", Priority.HIGH)
        ward.arrive(second + 0.5, "small", Priority.HIGH)
    ward.run(100.0)
    assert max(ward.waited["large", Priority.HIGH] + ward.waited["small", Priority.HIGH]) <= 1.0


def test_nothing_waits_beyond_the_bound_under_a_flood_that_never_ends(make_ward):
    """A worker that is always busy with more urgent work of a site: the rest rises until it is the most urgent."""
    ward = make_ward()
    ward.arrive(0.0, "patient", Priority.LOW, count=3)
    ward.arrive(0.0, "patient", Priority.MEDIUM, count=3)
    for second in range(400):
        ward.arrive(float(second), "flood", Priority.HIGH)
    ward.run(400.0)
    assert max(ward.waited["patient", Priority.MEDIUM]) <= AGEING_S + 10
    assert max(ward.waited["patient", Priority.LOW]) <= 2 * AGEING_S + 15


def test_a_turn_is_never_put_off_by_more_than_the_ageing_time(make_ward):
    ward = make_ward()
    for _ in range(150):
        ward.put("large", Priority.MEDIUM)
    with ward.database.read() as connection:
        turns = sorted(connection.execute(select(table.c.turn)).scalars())
    assert turns[0] == 0.0
    assert turns[-1] == AGEING_S


def test_who_does_not_say_whose_it_is_has_no_turns(make_ward):
    ward = make_ward()
    for _ in range(3):
        ward.put("", Priority.MEDIUM)
    with ward.database.read() as connection:
        assert set(connection.execute(select(table.c.turn)).scalars()) == {0.0}
