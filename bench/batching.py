"""What workers add to the model, and what they gain: images a second beside ONNX Runtime alone in one process.

The same radiographs are read three ways, in turns, so that what else runs on the machine meets all of them:

bare       the model's ``predict_batch`` called in a loop in one process, on files in a folder
network    ``InferenceSession.run`` alone, on tensors that are ready
workers    ``osler worker``'s own code: claimed from the ledger in batches, fetched from the blobs with their hashes
           checked, read in the sandbox, heatmaps kept, handed in and committed

Wall time depends on who else is busy; CPU time an image hardly does, and is printed beside it. The last part is a
waiting line full of routine work into which urgent jobs come: how long they take, against an idle worker.

    python bench/batching.py [images] [--rows ROWS] [--rounds N]
"""

import argparse
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from sqlalchemy import func, select

from osler.config import load
from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.hub.serving import Serving
from osler.hub.worker_pool import WorkerPool
from osler.models import cxr
from osler.models.cxr.model import FOLDER, OUTPUTS, WEIGHTS
from osler.plugins import Instance, LoadContext, Study
from osler.queue.embedded import EmbeddedQueue
from osler.record.heatmaps import with_heatmaps
from osler.storage import Database, migrate
from osler.storage.blobs import FolderBlobs
from osler.storage.database import sqlite_url
from osler.storage.handed_in import hand_in
from osler.storage.tables import handed_in, job
from osler.testing import studies

BATCH = 16


@dataclass(frozen=True)
class Taken:
    """Wall and CPU time of one way, seconds an image."""

    wall_s: float
    cpu_s: float


@contextmanager
def measured(count: int) -> Iterator[list[Taken]]:
    """Measure what runs inside, with the processes that ended in it."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    found: list[Taken] = []
    wall, cpu = time.perf_counter(), [resource.getrusage(kind) for kind in kinds]
    yield found
    spent = sum(
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for before, after in zip(cpu, (resource.getrusage(kind) for kind in kinds), strict=True)
    )
    found.append(Taken((time.perf_counter() - wall) / count, spent / count))


class Bench:
    """A ledger, blobs, and radiographs in both."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.database = Database(sqlite_url(folder / "ledger.db"))
        migrate.upgrade(self.database)
        self.queue = EmbeddedQueue(self.database)
        self.blobs = FolderBlobs(folder / "blobs")
        self.image = studies.image("CR", pixels=studies.chest_pixels(rows, rows))
        self.content = studies.part10(self.image)
        self.file = folder / "image.dcm"
        self.file.write_bytes(self.content)
        self.ref = self.blobs.put(self.content)
        self.numbers = iter(range(10**9))
        self.models = {threads: cxr.model() for threads in (1, 2)}
        for threads, model in self.models.items():
            model.load(LoadContext(threads=threads, age_policy="any"))
        self.model = self.models[1]

    def put(self, count: int, priority: Priority = Priority.MEDIUM, site: str = "ward") -> list[str]:
        """Queue radiographs, each a study of its own; return the UIDs of the studies."""
        uids, made = [], []
        for _ in range(count):
            uid = f"2.25.{next(self.numbers)}"
            instance = DeidentifiedInstance(
                self.image.SOPInstanceUID, self.image.SeriesInstanceUID, self.image.SOPClassUID, self.ref
            )
            study = Deidentified(uid, 1, (instance,), AgeBand.CHILD, priority)
            made.append(study)
            uids.append(uid)
        model = str(self.model.card.model_version)
        self.database.write(lambda c: [self.queue.put(c, study, model, site=site) for study in made])
        return uids

    def bare(self, count: int, threads: int = 1) -> Taken:
        """Read images in this process."""
        one, model = Study("2.25.1", (self._instance(),), AgeBand.CHILD), self.models[threads]
        with measured(count) as found:
            for _ in range(count // BATCH):
                model.predict_batch([model.select(one).cases[0] for _ in range(BATCH)])
        return found[0]

    def network(self, count: int) -> Taken:
        """Run the network in this process."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(FOLDER / "weights" / WEIGHTS), options, providers=["CPUExecutionProvider"]
        )
        shape = [BATCH, *session.get_inputs()[0].shape[1:]]
        tensor = np.zeros(shape, np.float32)
        with measured(count) as found:
            for _ in range(count // BATCH):
                session.run(list(OUTPUTS), {"image": tensor})
        return found[0]

    @contextmanager
    def working(self, workers: int, wait_ms: int = 0) -> Iterator[None]:
        """Run workers as ``osler worker`` does."""
        given = {"worker.processes": workers, "models.age_policy": "any", "worker.batch_wait_ms": wait_ms}
        config = load({}, data_dir=self.folder / "worker", given=given)  # type: ignore[arg-type]
        pool = WorkerPool(self.queue, self.blobs, config, record=self._hand_in, owner="bench")
        pool.start(Serving(config, self.database))
        until(lambda: all(status.ready for status in pool.status()))
        try:
            yield
        finally:
            pool.drain()
            pool.join(30)

    def workers(self, count: int, workers: int) -> Taken:
        """Read images by workers; their start is not counted."""
        began = self._handed_in()
        with self.working(workers):
            self.put(count)
            cpu, wall = self._cpu_of_children(), time.perf_counter()
            until(lambda: self._handed_in() - began >= count, every_s=0.05)
            spent = time.perf_counter() - wall
            return Taken(spent / count, (self._cpu_of_children() - cpu) / count)

    def urgent(self, idle: bool, count: int = 20) -> list[float]:
        """Put urgent jobs one after the other, and return how long each took, seconds."""
        taken = []
        with self.working(1):
            if not idle:
                self.put(50 * count)
            for _ in range(count):
                began = time.perf_counter()
                (uid,) = self.put(1, Priority.HIGH)
                until(lambda uid=uid: self._done(uid))
                taken.append(time.perf_counter() - began)
        if not idle:
            self.database.write(lambda c: c.execute(job.delete().where(job.c.state == "scheduled")))
        return taken

    def _hand_in(self, one, inference, heatmaps) -> bool:  # type: ignore[no-untyped-def]
        kept = with_heatmaps(inference, heatmaps, keep=self.blobs.put)
        return self.database.write(lambda c: hand_in(c, one, kept, now=time.time()))

    def _instance(self) -> Instance:
        return Instance(self.image.SOPInstanceUID, self.image.SeriesInstanceUID, self.file)

    def _handed_in(self) -> int:
        with self.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(handed_in)).scalar_one())

    def _done(self, uid: str) -> bool:
        with self.database.read() as connection:
            query = select(handed_in.c.job_id).join(job, job.c.id == handed_in.c.job_id)
            return connection.execute(query.where(job.c.study_uid == uid)).first() is not None

    def _cpu_of_children(self) -> float:
        """CPU time of this process and of the inference processes that run, seconds."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = time.process_time()
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                total += (int(fields[11]) + int(fields[12])) / ticks
        return total


def until(condition, every_s: float = 0.01) -> None:  # type: ignore[no-untyped-def]
    """Wait for a condition."""
    pause = threading.Event()
    while not condition():
        pause.wait(every_s)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=int, default=96)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    count = max(BATCH, asked.images // BATCH * BATCH)
    with tempfile.TemporaryDirectory(prefix="osler-bench-") as name:
        bench = Bench(Path(name), asked.rows)
        ways = {
            "network": bench.network,
            "bare": bench.bare,
            "bare, 2": lambda n: bench.bare(n, 2),
            "1 worker": lambda n: bench.workers(n, 1),
            "2 workers": lambda n: bench.workers(n, 2),
        }
        rounds = [{way: read(count) for way, read in ways.items()} for _ in range(asked.rounds)]
        print(f"{count} radiographs of {asked.rows} x {asked.rows}, {asked.rounds} rounds, medians, ms an image")
        for way in ways:
            wall, cpu = (statistics.median(getattr(r[way], kind) for r in rounds) for kind in ("wall_s", "cpu_s"))
            print(f"  {way:10s} wall {wall * 1e3:7.1f}   cpu {cpu * 1e3:7.1f}   {1 / wall:6.1f} images/s")
        pairs = (
            ("1 worker / bare on 1 thread", "bare", "1 worker"),
            ("2 workers / bare on 2 threads", "bare, 2", "2 workers"),
            ("2 workers / 1", "1 worker", "2 workers"),
        )
        for title, over, under in pairs:
            ratios = [r[over].wall_s / r[under].wall_s for r in rounds]
            print(f"  images/s {title}: {statistics.median(ratios):.3f}  ({min(ratios):.3f} to {max(ratios):.3f})")
        two = statistics.median(r["2 workers"].cpu_s / r["bare"].cpu_s - 1 for r in rounds)
        overhead = statistics.median(r["1 worker"].cpu_s / r["bare"].cpu_s - 1 for r in rounds)
        print(f"  CPU that the pipeline adds to the bare model: {overhead:+.1%}, with two workers {two:+.1%}")
        idle, flood = sorted(bench.urgent(idle=True)), sorted(bench.urgent(idle=False))
        p95 = [times[round(0.95 * (len(times) - 1))] for times in (idle, flood)]
        print(
            f"  STAT p95: idle {p95[0]:.3f} s, in a flood of routine work {p95[1]:.3f} s: ratio {p95[1] / p95[0]:.2f}"
        )


if __name__ == "__main__":
    main()
