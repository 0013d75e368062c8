"""Who works, and how many workers what waits asks for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.findings import Inference
from osler.domain.inference_json import dumps
from osler.domain.states import AgeBand, Priority
from osler.monitor.workforce import wanted_workers, workforce
from osler.queue.embedded import EmbeddedQueue
from osler.storage.database import Database, sqlite_url
from osler.storage.tables import inference, metadata
from osler.storage.workers import WorkerSign, leave, listing, sign
from osler.testing import FakeModel

NOW = 1_000_000.0
CARD = FakeModel().card
SIGN = WorkerSign("w-0", "host", 1, ("fake@1.0.0",), ("ward",), "cpu", 0, 0, False, NOW - 60, NOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "ledger.db"))
    metadata.create_all(database.engine)
    yield database
    database.close()


def figures(ledger: Database, aim_s: float = 10.0) -> dict[str, float]:
    with ledger.read() as connection:
        found = workforce(connection, NOW, aim_s=aim_s).values
    return {key[0] if key else name: value for name, values in found.items() for key, value in values.items()}


def test_a_sign_of_life_is_given_again_and_taken_back(ledger):
    ledger.write(lambda c: sign(c, SIGN))
    later = replace(SIGN, busy=3, heartbeat_at=NOW + 5)
    ledger.write(lambda c: sign(c, later))
    with ledger.read() as connection:
        assert listing(connection) == [later]
    ledger.write(lambda c: leave(c, [SIGN.id]))
    with ledger.read() as connection:
        assert listing(connection) == []


def test_only_workers_that_give_signs_are_counted(ledger):
    signs = [SIGN, replace(SIGN, id="w-1", busy=2), replace(SIGN, id="w-2", draining=True)]
    signs += [replace(SIGN, id="lost", heartbeat_at=NOW - 31)]
    for one in signs:
        ledger.write(lambda c, one=one: sign(c, one))
    found = figures(ledger)
    assert (found["busy"], found["idle"], found["draining"]) == (1, 2, 1)


def test_what_waits_asks_for_workers_by_what_a_job_took_last(ledger):
    queue = EmbeddedQueue(ledger, clock=lambda: NOW)
    model = "fake@1.0.0"
    for number in range(41):
        instance = DeidentifiedInstance(f"1.{number}", "1", "1", "blob")
        study = Deidentified(f"2.25.{number}", 1, (instance,), AgeBand.CHILD, Priority.MEDIUM)
        ledger.write(lambda c, study=study: queue.put(c, study, model))
    assert figures(ledger)["osler_workers_wanted"] == 5  # 41 jobs of unknown length, taken for a second each
    (job, *_) = queue.claim("w", models=[model], limit=1)
    said = Inference("2.25.0", CARD.model_version, (), (), {"fetch": 0.5, "predict": 1.5})
    row = {"id": "i", "job_id": job.id, "study_uid": "2.25.0", "revision": 1, "model": model, "body": dumps(said)}
    row |= {"critical": False, "created_at": NOW - 1}
    ledger.write(lambda c: (c.execute(inference.insert(), [row]), queue.complete(c, job)))
    assert figures(ledger)["osler_workers_wanted"] == 8  # 40 jobs of 2 s in 10 s
    assert figures(ledger, aim_s=100.0)["osler_workers_wanted"] == 1


@pytest.mark.parametrize(("work_s", "wanted"), [(0.0, 0), (0.1, 1), (10.0, 1), (10.1, 2), (1000.0, 100)])
def test_the_workers_that_do_so_much_in_ten_seconds(work_s, wanted):
    assert wanted_workers(work_s, aim_s=10.0) == wanted
