"""The rule: what changed is found and named, what did not is not, and no more is spent than the budget."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, select

from osler.config import load
from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.errors import PeerUnavailable
from osler.hub.drift import DriftWatch, drift_figures
from osler.monitor import alarms
from osler.monitor.cases import keep
from osler.monitor.drift import LOOK_EVERY, Case, Sample, Stream, level, look
from osler.storage import Database
from osler.storage.tables import audit_event, inference, job
from osler.stores import Stores
from osler.testing import FakeClock
from osler.testing.peers import Pager

MODEL = ModelVersion("fake", "1.0.0", "0" * 64, "1")
CODE = Code("112033", "DCM", "Abnormal opacity")


def cases(rng: np.random.Generator, count: int, *, shift: float = 0.0, scanner: str = "A") -> Iterator[Case]:
    for _ in range(count):
        yield Case(
            {"input:mean": float(rng.normal(shift)), "score:opacity": float(rng.random())},
            {"scanner": scanner if rng.random() < 0.5 else "B"},
        )


def test_what_changed_stands_out_and_the_rest_does_not() -> None:
    rng = np.random.default_rng(1)
    stream = Stream("all", Sample(cases(rng, 500)), Sample(cases(rng, 200, shift=1.0)))
    found = look([stream], level(900.0, false_alarms_a_month=0.5))
    assert {(c.variable, c.kind) for c in found if c.stands_out} == {("input:mean", "input")}
    assert {(c.variable, c.window) for c in found} == {
        (v, w) for v in ("input:mean", "score:opacity", "scanner") for w in (50, 200)
    }


def test_a_new_scanner_is_named() -> None:
    rng = np.random.default_rng(2)
    stream = Stream("all", Sample(cases(rng, 500)), Sample(cases(rng, 60, scanner="C")))
    (change,) = [c for c in look([stream], 1e-4) if c.stands_out]
    assert (change.variable, change.window) == ("scanner", 50)
    assert change.word in ("A", "C")


def test_a_sure_but_small_change_is_no_alarm() -> None:
    rng = np.random.default_rng(3)
    stream = Stream("all", Sample(cases(rng, 20000)), Sample(cases(rng, 200, shift=0.1)))
    assert not [c for c in look([stream], 0.05) if c.stands_out]


@pytest.mark.parametrize(("hours", "spent"), [(0.0, 0.0), (0.25, 0.5 / 2880), (24.0, 0.5 / 30), (9999.0, 0.05)])
def test_a_look_spends_what_came_in_since_the_last(hours: float, spent: float) -> None:
    assert level(hours * 3600, false_alarms_a_month=0.5) == pytest.approx(spent)


def recorded(number: int, *, mean: float, score: float, at: float) -> Recorded:
    result = CaseResult(
        "2.25.2",
        (f"2.25.{number}",),
        (Finding("opacity", CODE, score, 0.5),),
        inputs={"mean": mean},
        origin={"scanner": "ACME One", "age": "1-5y"},
    )
    return Recorded(f"i{number}", Inference(f"2.25.{number}", MODEL, (result,)), 1, at)


class Site:
    """A ledger into which cases come, and its watch."""

    def __init__(self, stores: Stores, clock: FakeClock, folder: Path, *, url: str) -> None:
        folder.mkdir()
        (folder / "osler.toml").write_text(
            f'[[destination]]\nname = "ops"\nkind = "webhook"\nurl = "{url}"\nsecret = "s"\nwhen = "operations"\n'
        )
        self.database, self.clock = stores.database, clock
        config = load({}, data_dir=folder, given={"drift.reference": 100})
        assert not config.destinations, "no result goes there"
        self.watch = DriftWatch(stores, config, clock=clock)
        self.answers = [204]
        self.rng, self.count = np.random.default_rng(4), 0

    def receive(self, count: int, *, shift: float = 0.0) -> None:
        """Let cases come, ten minutes apart, and look as often as a running hub would."""
        for _ in range(count):
            self.count += 1
            self.clock.advance(600.0)
            one = recorded(
                self.count, mean=float(self.rng.normal(shift)), score=float(self.rng.random()), at=self.clock()
            )
            self.database.write(lambda c, one=one: self._keep(c, one))  # type: ignore[misc]
            if self.count % LOOK_EVERY == 0:
                self.watch.step()

    def _keep(self, connection: Connection, one: Recorded) -> None:
        study_uid, model = one.inference.study_instance_uid, str(MODEL)
        connection.execute(
            job.insert().values(
                id=one.id, idempotency_key=one.id, study_uid=study_uid, revision=1, model=model, priority="LOW",
                state="completed", body="{}", attempts=1, available_at=0.0, dead=False, created_at=0.0,
            )
        )  # fmt: skip
        connection.execute(
            inference.insert().values(
                id=one.id, job_id=one.id, study_uid=study_uid, revision=1, model=model, body="{}", critical=False,
                created_at=one.recorded_at,
            )
        )  # fmt: skip
        keep(connection, one, site="dimse:ROOM1")

    def alarms(self) -> list[alarms.Alarm]:
        with self.database.read() as connection:
            return alarms.open_alarms(connection)


@pytest.fixture
def answers() -> list[int]:
    return [204]


@pytest.fixture
def pager(answers: list[int]) -> Iterator[Pager]:
    running = Pager("s", status=lambda: answers[0])
    yield running
    running.stop()


@pytest.fixture
def site(stores: Stores, tmp_path: Path, pager: Pager, answers: list[int]) -> Site:
    made = Site(stores, FakeClock(), tmp_path / "site", url=pager.url)
    made.answers = answers
    return made


def test_a_planted_shift_is_found_within_200_cases_told_once_and_closed_by_a_person(site: Site, pager: Pager) -> None:
    site.receive(400)
    assert site.alarms() == []
    site.receive(200, shift=1.5)
    found = site.alarms()
    assert [(a.stream, a.variable) for a in found] == [("all", "input:mean")], "one site and one scanner are no streams"
    (message,) = pager.messages
    assert message.body["event"] == "drift"
    assert message.signed
    assert [change["variable"] for change in message.body["changes"]] == ["input:mean"]
    with site.database.read() as connection:
        kinds = connection.execute(select(audit_event.c.kind)).scalars().all()
        figures = drift_figures(connection).values
    assert kinds.count("drift-alarm") == 1
    assert figures["osler_drift_alarms"] == {("fake@1.0.0", "input"): 1.0, ("fake@1.0.0", "output"): 0.0}
    assert figures["osler_drift_psi"]["fake@1.0.0", "input:mean"] > 0.5
    site.database.write(lambda c: alarms.new_reference(c, "fake@1.0.0", now=site.clock()))
    assert site.alarms() == []
    site.receive(300, shift=1.5)
    assert site.alarms() == [], "it is how it shall be"


def test_an_alarm_waits_for_a_destination_that_does_not_answer(site: Site, pager: Pager) -> None:
    site.receive(300)
    site.answers[0] = 503
    with pytest.raises(PeerUnavailable):
        site.receive(100, shift=2.0)
    assert pager.messages == []
    with site.database.read() as connection:
        assert len(alarms.untold(connection)) == 1
    site.answers[0] = 204
    site.watch.step()
    site.watch.step()
    assert len(pager.messages) == 1


def test_an_alarm_closes_when_all_is_as_before(site: Site) -> None:
    site.receive(300)
    site.receive(100, shift=2.0)
    assert site.alarms()
    site.receive(700)
    assert site.alarms() == []


def test_two_that_look_at_once_raise_one_alarm(database: Database) -> None:
    database.write(lambda c: alarms.begin(c, "fake@1.0.0", now=0.0))
    with database.read() as connection:
        before = alarms.watch_of(connection, "fake@1.0.0")
    assert before is not None
    rng = np.random.default_rng(1)
    stream = Stream("all", Sample(cases(rng, 500)), Sample(cases(rng, 200, shift=2.0)))
    changes = look([stream], 0.01)
    first = database.write(lambda c: alarms.note(c, before, changes, seq=200, now=1.0))
    second = database.write(lambda c: alarms.note(c, before, changes, seq=200, now=1.0))
    assert first is not None
    assert [a.variable for a in first] == ["input:mean"]
    assert second is None
    assert database.write(lambda c: alarms.note(c, replace(before, looked_seq=200), changes, seq=225, now=2.0)) == []
