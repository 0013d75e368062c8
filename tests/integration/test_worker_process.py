"""The worker with the real queue and real inference processes: every job ends, whatever a model does."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.findings import Inference
from osler.domain.states import AgeBand, JobState, Priority
from osler.errors import IntegrityError, StorageFull
from osler.infer.child import Start
from osler.infer.worker import Worker, WorkerSettings
from osler.queue.embedded import EmbeddedQueue
from osler.storage.database import Database, sqlite_url
from osler.storage.tables import metadata
from osler.testing import studies
from osler.testing.models import install

PLUGINS = Path(__file__).parent / "plugins"
NAMES = ("not-a-number", "hanging", "crashing", "refusing", "slow", "loads-badly", "crashing-batch", "batch-hanging")


@dataclass
class Hub:
    """What the pipeline will be: blobs, a ledger, and results that are saved with their job's completion."""

    folder: Path
    models: Path
    lease_s: float = 30.0
    saved: list[tuple[Job, Inference, dict[str, bytes]]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    trouble: Exception | None = None

    def __post_init__(self) -> None:
        self.database = Database(sqlite_url(self.folder / "ledger.db"))
        metadata.create_all(self.database.engine)
        self.queue = EmbeddedQueue(self.database, lease_s=self.lease_s, max_attempts=2, backoff_s=0.05)
        self.workers: list[tuple[Worker, threading.Thread]] = []

    def put(self, number: int, *, model: str = "fake", rows: int = 64, priority: Priority = Priority.MEDIUM) -> None:
        image = studies.image(pixels=studies.chest_pixels(rows=rows))
        blob = f"blob{number}"
        self.blobs[blob] = studies.part10(image)
        instance = DeidentifiedInstance(image.SOPInstanceUID, image.SeriesInstanceUID, image.SOPClassUID, blob)
        study = Deidentified(f"2.25.{number}", 1, (instance,), AgeBand.CHILD, priority)
        assert self.database.write(lambda connection: self.queue.put(connection, study, model))

    def fetch(self, reference: str, target: Path) -> None:
        if reference not in self.blobs:
            raise IntegrityError("a blob is damaged")
        target.write_bytes(self.blobs[reference])

    def record(self, job: Job, inference: Inference, heatmaps: dict[str, bytes]) -> bool:
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble

        def change(connection: Connection) -> bool:
            done = self.queue.complete(connection, job)
            if done:
                self.saved.append((job, inference, heatmaps))
            return done

        return self.database.write(change)

    def worker(self, *models: str, owner: str = "w", **settings: float) -> Worker:
        starts = tuple(Start(model, folders=(str(self.models),)) for model in models)
        return Worker(
            self.queue,
            self.fetch,
            self.record,
            WorkerSettings(owner, starts, self.folder / "spool", lease_s=self.lease_s, poll_s=0.02, **settings),
        )

    def start(self, *models: str, **settings: float) -> Worker:
        worker = self.worker(*models, **settings)
        thread = threading.Thread(target=worker.run)
        thread.start()
        self.workers.append((worker, thread))
        return worker

    def stop(self, *, drain: bool = True) -> None:
        for worker, _ in self.workers:
            worker.stop(drain=drain)
        for _, thread in self.workers:
            thread.join(30)
            assert not thread.is_alive()
        self.workers.clear()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, (self.queue.entries(), self.saved)
            threading.Event().wait(0.01)

    def until_ended(self, count: int) -> None:
        self.until(lambda: self.queue.counts()["completed"] + self.queue.counts()["canceled"] == count)

    def close(self) -> None:
        self.stop(drain=False)
        self.database.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for source in PLUGINS.glob("*.py"):
        shutil.copy(source, folder)
    entries = {name: f"misbehaving:make_{name.replace('-', '_')}" for name in NAMES}
    return install(folder, {**entries, "fake": "osler.testing.models:fake"})


@pytest.fixture
def hub(tmp_path: Path, models: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path, models)
    yield hub
    hub.close()


def test_jobs_are_read_and_recorded(hub):
    for number in range(5):
        hub.put(number)
    hub.start("fake")
    hub.until_ended(5)
    assert sorted(job.study.study_instance_uid for job, _, _ in hub.saved) == [f"2.25.{n}" for n in range(5)]
    for job, inference, heatmaps in hub.saved:
        assert inference.study_instance_uid == job.study.study_instance_uid
        assert list(inference.seconds) == ["fetch", "select", "predict"]
        assert set(heatmaps) == {result.heatmap for result in inference.results}


def test_an_idle_worker_is_woken(hub):
    worker = hub.start("fake")
    hub.until(lambda: worker.status()[0].ready)
    hub.put(1)
    worker.wake()
    hub.until_ended(1)


def test_the_spool_is_empty_after_each_batch_and_gone_at_the_end(hub):
    hub.put(1)
    hub.start("fake")
    hub.until_ended(1)
    hub.until(lambda: not [path for path in (hub.folder / "spool").rglob("*") if path.is_file()])
    hub.stop()
    assert list((hub.folder / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("model", "attempts", "reason"),
    [
        ("not-a-number", 1, "probability of finding 'opacity' is not a number in [0, 1]"),
        ("hanging", 2, "the model did not answer in its time"),
        ("crashing", 2, "the model's process ended (signal 6)"),
    ],
)
def test_a_job_that_its_model_cannot_do_is_set_aside_and_the_next_is_done(hub, model, attempts, reason):
    hub.put(1, model=model, rows=13)
    hub.put(2, model=model)
    hub.start(model)
    hub.until_ended(2)
    (dead,) = hub.queue.entries(dead=True)
    assert (dead.study_instance_uid, dead.attempts, dead.reason) == ("2.25.1", attempts, reason)
    assert [job.study.study_instance_uid for job, _, _ in hub.saved] == ["2.25.2"]


def test_a_refusal_is_recorded_like_a_finding(hub):
    hub.put(1, model="refusing", rows=13)
    hub.start("refusing")
    hub.until_ended(1)
    ((_, inference, _),) = hub.saved
    assert [refusal.reason for refusal in inference.refusals] == ["the lungs are cut off"]


@pytest.mark.parametrize("model", ["crashing-batch", "batch-hanging"])
def test_one_bad_job_does_not_take_its_batch_with_it(hub, model):
    rows = {1: 20, 2: 13, 3: 30} if model == "crashing-batch" else {1: 20, 2: 21, 3: 30}
    for number, height in rows.items():
        hub.put(number, model=model, rows=height)
    hub.start(model)
    hub.until_ended(3)
    done = sorted(job.study.study_instance_uid for job, _, _ in hub.saved)
    assert done == (["2.25.1", "2.25.3"] if model == "crashing-batch" else ["2.25.1", "2.25.2", "2.25.3"])
    assert {job.attempts for job, _, _ in hub.saved} == {1}


def test_a_batch_waits_for_more(hub):
    hub.put(1, model="crashing-batch")
    worker = hub.worker("crashing-batch", batch_wait_s=0.01)
    hub.put(2, model="crashing-batch", rows=30)
    assert worker.run_once() == 2
    worker.close()


def test_a_batch_waits_no_longer_than_its_bound(hub):
    """Jobs that trickle in do not hold the first one up for ever."""
    hub.put(1, model="crashing-batch")
    worker = hub.worker("crashing-batch", batch_wait_s=0.5)
    worker.run_once()  # loads the model
    hub.put(2, model="crashing-batch")
    later = threading.Timer(0.1, lambda: hub.put(3, model="crashing-batch"))
    later.start()
    began = time.monotonic()
    assert worker.run_once() == 2
    assert time.monotonic() - began > 0.4
    later.join()
    worker.close()


def test_a_full_batch_and_an_urgent_job_wait_for_nothing(hub):
    worker = hub.worker("crashing-batch", batch_wait_s=30.0)
    for number in range(4):
        hub.put(number, model="crashing-batch")
    began = time.monotonic()
    assert worker.run_once() == 4
    hub.put(5, model="crashing-batch", priority=Priority.HIGH)
    assert worker.run_once() == 1
    assert time.monotonic() - began < 25.0
    worker.close()


def test_each_model_gets_its_own_jobs(hub):
    for number, model in enumerate(["fake", "refusing", "fake@1.0.0", "refusing"]):
        hub.put(number, model=model)
    hub.start("fake", "refusing")
    hub.until_ended(4)
    assert {(job.model.partition("@")[0], inference.model.name) for job, inference, _ in hub.saved} == {
        ("fake", "fake"),
        ("refusing", "refusing"),
    }


def test_a_model_that_does_not_load_costs_no_job(hub):
    hub.put(1, model="loads-badly")
    hub.put(2)
    worker = hub.start("loads-badly", "fake")
    hub.until(lambda: bool(hub.saved))
    status = {status.model: status for status in worker.status()}
    assert status["fake"].ready
    assert status["fake"].hello.sandbox.complete
    assert not status["loads-badly"].ready
    assert status["loads-badly"].words.startswith("load: OSError at misbehaving.py")
    (waiting,) = hub.queue.entries(states=[JobState.SCHEDULED])
    assert (waiting.model, waiting.attempts) == ("loads-badly", 0)


def test_a_damaged_blob_fails_its_job_alone(hub):
    hub.put(1)
    hub.put(2)
    del hub.blobs["blob1"]
    hub.start("fake")
    hub.until_ended(2)
    (dead,) = hub.queue.entries(dead=True)
    assert (dead.study_instance_uid, dead.reason, dead.attempts) == ("2.25.1", "a blob is damaged", 1)


def test_a_full_disk_costs_no_attempt(hub):
    hub.put(1)
    hub.trouble = StorageFull("the disk is full")
    hub.start("fake")
    hub.until_ended(1)
    ((job, _, _),) = hub.saved
    assert job.attempts == 1


def test_a_long_reading_keeps_its_lease(tmp_path, models):
    hub = Hub(tmp_path, models, lease_s=1.0)
    hub.put(1, model="slow", rows=13)
    hub.start("slow")
    hub.until(lambda: hub.queue.counts()["in progress"] == 1)
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        assert hub.queue.claim("thief", models=["slow"], limit=1) == []
        threading.Event().wait(0.05)
    (study,) = (hub.folder / "spool").glob("spool-*/in/*")
    (study / "go").touch()
    hub.until_ended(1)
    assert hub.saved[0][0].attempts == 1
    hub.close()


def test_a_lost_lease_saves_nothing(hub):
    hub.put(1, model="slow", rows=13)
    hub.start("slow")
    hub.until(lambda: bool(list((hub.folder / "spool").glob("spool-*/in/*/0.dcm"))))
    (entry,) = hub.queue.entries()
    hub.queue.discard(entry.id)
    (study,) = (hub.folder / "spool").glob("spool-*/in/*")
    (study / "go").touch()
    hub.stop()
    assert hub.saved == []
    assert hub.queue.entries()[0].reason == "discarded by an operator"


def test_a_graceful_stop_finishes_what_is_in_work(hub):
    hub.put(1, model="slow", rows=13)
    worker = hub.start("slow")
    hub.until(lambda: bool(list((hub.folder / "spool").glob("spool-*/in/*/0.dcm"))))
    worker.stop()
    (study,) = (hub.folder / "spool").glob("spool-*/in/*")
    (study / "go").touch()
    hub.stop()
    assert len(hub.saved) == 1


def test_a_stop_at_once_gives_the_job_back(hub):
    hub.put(1, model="slow", rows=13)
    hub.start("slow")
    hub.until(lambda: bool(list((hub.folder / "spool").glob("spool-*/in/*/0.dcm"))))
    hub.stop(drain=False)
    (entry,) = hub.queue.entries()
    assert (entry.state, entry.attempts) == (JobState.SCHEDULED, 0)


def test_an_inference_process_that_dies_is_started_again(hub):
    worker = hub.worker("fake")
    hub.put(1)
    assert worker.run_once() == 1
    (process,) = _children()
    os.kill(process, signal.SIGKILL)
    hub.until(lambda: not worker.status()[0].ready)
    hub.put(2)
    hub.until(lambda: worker.run_once() == 1)
    assert len(hub.saved) == 2
    worker.close()


def test_a_killed_worker_loses_nothing_and_does_nothing_twice(tmp_path, models):
    """kill -9 of a worker in its work, again and again: each job is completed once, by whoever comes after."""
    hub = Hub(tmp_path, models, lease_s=0.4)
    for number in range(2):
        hub.put(number)
        (tmp_path / f"blob{number}").write_bytes(hub.blobs[f"blob{number}"])
    hub.database.write(lambda connection: connection.execute(text("CREATE TABLE done (job TEXT)")))
    code = textwrap.dedent(
        f"""
        import shutil
        from pathlib import Path
        from sqlalchemy import Connection, text
        from osler.errors import NotFound
        from osler.infer.child import Start
        from osler.infer.worker import Worker, WorkerSettings
        from osler.queue.embedded import EmbeddedQueue
        from osler.storage.database import Database, sqlite_url

        folder = Path({str(tmp_path)!r})
        database = Database(sqlite_url(folder / "ledger.db"))
        queue = EmbeddedQueue(database, lease_s=0.4, max_attempts=50, backoff_s=0.05)

        def record(job, inference, heatmaps):
            def change(connection):
                connection.execute(text("INSERT INTO done VALUES (:job)"), {{"job": job.id}})
                if not queue.complete(connection, job):
                    raise NotFound("the lease was lost")
                return True
            return database.write(change)

        settings = WorkerSettings("w", (Start("fake", folders=({str(models)!r},)),), folder / "spool", lease_s=0.4)
        Worker(queue, lambda blob, path: shutil.copy(folder / blob, path), record, settings).run()
        """
    )

    def progress(kill: int) -> int:
        """Claims for one kill, completions for the next: a worker dies in the midst of a job, and between jobs."""
        entries = hub.queue.entries()
        return sum(entry.attempts if kill % 2 else entry.state is JobState.COMPLETED for entry in entries)

    for kill in range(5):
        before = progress(kill)
        with subprocess.Popen([sys.executable, "-c", code]) as worker:
            try:
                hub.until(lambda kill=kill, before=before: progress(kill) > before)
            finally:
                worker.kill()
        for number in (2 * kill + 2, 2 * kill + 3):
            hub.put(number)
            (tmp_path / f"blob{number}").write_bytes(hub.blobs[f"blob{number}"])
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        try:
            hub.until_ended(12)
        finally:
            worker.kill()
    with hub.database.read() as connection:
        done = [job for (job,) in connection.execute(text("SELECT job FROM done"))]
    assert len(done) == len(set(done)) == 12
    hub.start("fake")
    hub.until(lambda: len(list((tmp_path / "spool").iterdir())) == 1)  # the spools of the dead are gone
    hub.close()


def _children() -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            command = status.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"osler.infer.process" in command:
            found.append(int(status.parent.name))
    return found
