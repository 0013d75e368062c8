"""How far it goes: a discrete-event model of the flow, calibrated by what is measured here.

    python bench/capacity.py measure [studies] [rounds]    # 1, 2 and 4 workers here, and what the model says of each
    python bench/capacity.py                               # the tables and plots of docs/explanation/capacity.md

The model (SimPy) has what the hub has: its own process, of whose threads one works at a time; a thread each that
de-identifies, takes in results, and delivers to chart, PACS and pager; the database's writer; and the workers. What a
step takes is measured with one worker. What this machine gives to 1, 2 and 4 processes that work at once, beside all
else that runs on it, is measured in the same minutes by the chest model alone: two cores may be two threads of one.
Of 2 and 4 workers nothing that is measured goes into the model; it must foretell it.
"""

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import simpy
from plots import log_log
from sqlalchemy import select, update

from osler import config as configuration
from osler.domain.states import AgeBand, JobState
from osler.hub.hub import Hub
from osler.hub.logs import set_up_logs
from osler.hub.opening import create_data_dir, open_stores
from osler.models import cxr
from osler.plugins import Instance, LoadContext, Study
from osler.storage.tables import instance, job
from osler.stores import Stores
from osler.testing.peers import Pacs, Pager, free_ports

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
CALIBRATION = Path(__file__).with_name("capacity.json")
COMMITS = 2
"""Of each step: one to claim, one to answer."""
PEAK = 2.5
"""The busiest hour of a day against its mean."""
BOUND_S = 10.0


@dataclass(frozen=True)
class Costs:
    """What one study takes, seconds of a processor, of each thread of the hub and of a worker.

    ``claim`` is what passes in a worker besides: it waits for the queue, the disk and the database. ``write`` is how
    long a commit holds the writer of the database.
    """

    receive: float
    deidentify: float
    results: float
    fhir: float
    pacs: float
    alert: float
    worker: float
    claim: float
    write: float

    @property
    def hub(self) -> float:
        """All that the hub's own process does."""
        return self.receive + self.deidentify + self.results + self.fhir + self.pacs + self.alert


@dataclass(frozen=True)
class Place:
    """What runs where.

    Parameters
    ----------
    workers, hubs, databases : int
        Hubs that share a database share its writer.
    speeds : mapping of int to float, optional
        Of one machine that hub and workers share: how many processors' worth it gives to so many processes that work
        at once. Without it each hub and each worker has a core of its own.
    slice_s : float
        The threads of a process take turns so often.
    """

    workers: int
    hubs: int = 1
    databases: int = 1
    speeds: dict[int, float] | None = None
    slice_s: float = 0.02


class Flow:
    """One run of the model."""

    THREADS = ("receive", "deidentify", "results", "fhir", "pacs", "alert")

    def __init__(self, costs: Costs, place: Place) -> None:
        self.env = simpy.Environment()
        self.costs, self.place = costs, place
        self.process = [simpy.Resource(self.env, 1) for _ in range(place.hubs)]
        self.threads = [
            {name: simpy.Resource(self.env, 32 if name == "receive" else 1) for name in self.THREADS}
            for _ in range(place.hubs)
        ]
        self.writers = [simpy.Resource(self.env, 1) for _ in range(place.databases)]
        self.workers = simpy.Resource(self.env, place.workers)
        self.working = 0
        self.recorded: list[float] = []
        self.done: list[float] = []
        self.to_alert: list[float] = []
        self.busy = dict.fromkeys(("hub", "database", "workers"), 0.0)

    def compute(self, seconds: float) -> Iterator[Any]:
        """Work in one process for so long, at the speed that the machine has for as many as work now."""
        self.working += 1
        while seconds > 1e-9:
            part = min(self.place.slice_s, seconds)
            yield self.env.timeout(part * self.slowness())
            seconds -= part
        self.working -= 1

    def slowness(self) -> float:
        """Return how much longer something takes than on a processor of its own."""
        speeds = self.place.speeds
        if speeds is None:
            return 1.0
        known = sorted(speeds)
        below = max((n for n in known if n <= self.working), default=known[0])
        above = min((n for n in known if n >= self.working), default=known[-1])
        share = (self.working - below) / (above - below) if above > below else 0.0
        return self.working / (speeds[below] + share * (speeds[above] - speeds[below]))

    def step(self, hub: int, thread: str) -> Iterator[Any]:
        """Let a thread of a hub do its step for one study."""
        with self.threads[hub][thread].request() as turn:
            yield turn
            left = getattr(self.costs, thread)
            while left > 1e-9:
                part = min(self.place.slice_s, left)
                with self.process[hub].request() as running:
                    yield running
                    yield from self.compute(part)
                self.busy["hub"] += part
                left -= part
            yield from self.commit(hub)

    def commit(self, hub: int) -> Iterator[Any]:
        """Hold the database's writer."""
        held = COMMITS * self.costs.write
        with self.writers[hub % len(self.writers)].request() as turn:
            yield turn
            yield self.env.timeout(held)
        self.busy["database"] += held

    def infer(self, hub: int) -> Iterator[Any]:
        """Read a study with a worker, and hand in what it says."""
        with self.workers.request() as worker:
            yield worker
            began = self.env.now
            yield self.env.timeout(self.costs.claim)
            yield from self.compute(self.costs.worker)
            yield from self.commit(hub)
            self.busy["workers"] += self.env.now - began

    def from_queue(self, hub: int, arrived: float) -> Iterator[Any]:
        """Follow a study from the queue to chart, PACS and pager."""
        yield from self.infer(hub)
        yield from self.step(hub, "results")
        self.recorded.append(self.env.now)
        others = [self.env.process(self.step(hub, name)) for name in ("fhir", "pacs")]
        yield from self.step(hub, "alert")
        self.to_alert.append(self.env.now - arrived)
        yield simpy.AllOf(self.env, others)
        self.done.append(self.env.now)

    def study(self, hub: int) -> Iterator[Any]:
        """Follow a study from its last instance."""
        arrived = self.env.now
        yield from self.step(hub, "receive")
        yield from self.step(hub, "deidentify")
        yield from self.from_queue(hub, arrived)


def drain(costs: Costs, place: Place, count: int) -> tuple[float, float]:
    """Foretell studies a second, to the record and to the last delivery, when so many wait in the queue."""
    flow = Flow(costs, place)
    for _ in range(count):
        flow.env.process(flow.from_queue(0, 0.0))
    flow.env.run()
    return count / max(flow.recorded), count / max(flow.done)


def hour(costs: Costs, place: Place, per_day: float, *, most: int = 800) -> tuple[float, dict[str, float]]:
    """Simulate the busiest hour, or so many studies of it; return the p95 to the alert, s, and how busy all is."""
    flow, chance, rate = Flow(costs, place), random.Random(7), per_day / 86_400 * PEAK
    count = max(50, min(most, round(rate * 3600)))

    def arrivals() -> Iterator[Any]:
        for number in range(count):
            yield flow.env.timeout(chance.expovariate(rate))
            flow.env.process(flow.study(number % place.hubs))

    flow.env.process(arrivals())
    flow.env.run()
    whole = flow.env.now
    shares = {
        "hub": flow.busy["hub"] / place.hubs / whole,
        "database": flow.busy["database"] / place.databases / whole,
        "workers": flow.busy["workers"] / place.workers / whole,
    }
    return sorted(flow.to_alert)[round(0.95 * (count - 1))], shares


def most(costs: Costs, place: Place) -> tuple[float, float, str]:
    """Return the most studies a day with a p95 within the bound beyond an idle site's, that p95, and what limits it."""
    idle, _ = hour(costs, place, 1.0)
    limits = {
        "workers": place.workers / (costs.worker + costs.claim + COMMITS * costs.write),
        "hub": place.hubs / costs.hub,
        "database": place.databases / (7 * COMMITS * costs.write),
    }
    first = min(limits, key=limits.__getitem__)
    low, high = 0.2 * limits[first] * 86_400 / PEAK, 1.05 * limits[first] * 86_400 / PEAK
    while high / low > 1.04:
        middle = (low * high) ** 0.5
        p95, _ = hour(costs, place, middle)
        low, high = (middle, high) if p95 <= idle + BOUND_S else (low, middle)
    return low, hour(costs, place, low)[0], first


# ------------------------------------------------------------------------------------------------------------ measure


def spin(path: Path, processes: int, seconds: float) -> tuple[float, float]:
    """Let so many processes read a radiograph again and again; return readings a second, and CPU seconds of one."""
    command = [sys.executable, __file__, "spin", str(path), str(seconds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate()[0].split() for one in running]
    count = sum(int(words[0]) for words in said)
    return count / seconds, sum(float(words[1]) for words in said) / count


def spinning(path: Path, seconds: float) -> None:
    """Be one of those processes."""
    model = cxr.model()
    model.load(LoadContext(age_policy="any"))
    case = model.select(Study("2.25.1", (Instance("2.25.2", "2.25.3", path),), AgeBand.ADULT)).cases[0]
    model.predict(case)
    print("ready", flush=True)
    sys.stdin.readline()
    count, cpu, until = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        model.predict(case)
        count += 1
    print(count, time.process_time() - cpu, flush=True)


def prepare(folder: Path, count: int) -> dict[str, float]:
    """Make a data folder in which ``count`` studies wait for a worker, and return what that took of the hub."""
    from end_to_end import studies

    pacs, pager = Pacs(folder / "pacs"), Pager("bench-bench-bench")
    config = _settle(folder / "data", pacs, pager)
    (folder / "inbox").mkdir()
    studies(folder / "inbox", count)
    create_data_dir(config, {})
    with open_stores(config, {}) as stores:
        hub = Hub(stores, config, roles=("dimse", "deidentifier"))
        hub.start()
        address = config.text("dimse.address")
        command = [sys.executable, "-m", "osler", "send", str(folder / "inbox"), "--to", address]
        before, loops = time.process_time(), _by_thread()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        while stores.queue.counts()[JobState.SCHEDULED.value] < count:
            time.sleep(0.05)
        after, spent = time.process_time(), _by_thread()
        hub.stop()
        write = _write_s(stores)
        with stores.database.read() as connection:
            blob = connection.execute(select(instance.c.deidentified_blob).limit(1)).scalar_one()
        (folder / "image.dcm").write_bytes(stores.deidentified.get(blob))
    pacs.stop()
    pager.stop()
    deidentify = spent["deidentify"] - loops["deidentify"]
    return {"receive": (after - before - deidentify) / count, "deidentify": deidentify / count, "write": write}


def work(source: Path, folder: Path, workers: int, count: int) -> dict[str, float]:
    """Let so many workers read what waits; return studies a second, and what each part took for a study."""
    from end_to_end import finished

    shutil.copytree(source, folder)
    pacs, pager = Pacs(folder / "pacs"), Pager("bench-bench-bench")
    config = _settle(folder, pacs, pager)
    with open_stores(config, {}) as stores:
        _hold(stores, 1800.0)
        hub = Hub(stores, config, roles=("deidentifier", "publisher"))  # the second of them takes in what workers say
        hub.start()
        command = [sys.executable, "-m", "osler", "worker", "--data-dir", str(folder)]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(workers)]
        for one in running:
            _loaded(one)
        before, threads = sum(_cpu_s(one.pid) for one in running), _by_thread()
        began = _hold(stores, 0.0)
        while stores.queue.counts()[JobState.COMPLETED.value] < count:
            time.sleep(0.05)
        recorded = time.time() - began
        while not finished(stores, count):
            time.sleep(0.05)
        done = time.time() - began
        spent, after = sum(_cpu_s(one.pid) for one in running) - before, _by_thread()
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)
        hub.stop()
    pacs.stop()
    pager.stop()
    shutil.rmtree(folder)
    taken = {name: (after[name] - threads[name]) / count for name in ("results", "fhir", "pacs", "alert")}
    return {"recorded": count / recorded, "done": count / done, "worker": spent / count, **taken}


def _hold(stores: Stores, seconds: float) -> float:
    """Let every job wait so long from now; return now, seconds since the epoch."""
    now = time.time()
    stores.database.write(lambda connection: connection.execute(update(job).values(available_at=now + seconds)))
    return now


def _loaded(worker: "subprocess.Popen[str]") -> None:
    """Wait until a worker has loaded its model, and read on what it logs."""
    assert worker.stderr is not None
    while "model-loaded" not in worker.stderr.readline():
        pass
    threading.Thread(target=worker.stderr.read, daemon=True).start()


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and its children, seconds."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process may be gone already
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == pid or int(fields[1]) == pid:
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _by_thread() -> dict[str, float]:
    """Return the processor time of the hub's threads, seconds, by name."""
    found = {}
    for thread in threading.enumerate():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
            found[thread.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _settle(folder: Path, pacs: Pacs, pager: Pager) -> configuration.Config:
    from end_to_end import SETTINGS

    http, dimse = free_ports(2)
    folder.mkdir(exist_ok=True)
    text = SETTINGS.format(http=http, dimse=dimse, pacs=pacs.address, pager=pager.url)
    (folder / "osler.toml").write_text(text + "\n[worker]\nprocesses = 1\n", encoding="utf-8")
    return configuration.load({}, data_dir=folder)


def _write_s(stores: Stores) -> float:
    """Return how long a small commit takes."""
    times = []
    for _ in range(40):
        began = time.perf_counter()
        stores.database.write(lambda connection: connection.execute(update(job).values(available_at=time.time())))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def calibrate(front: dict[str, float], alone: dict[str, float], speeds: dict[int, float], count: int) -> Costs:
    """Find costs with which the model takes, with one worker, what was measured with one."""
    costs = Costs(**front, **{name: alone[name] for name in ("results", "fhir", "pacs", "alert", "worker")}, claim=0.0)
    place = Place(1, speeds=speeds, slice_s=0.005)
    low, high = 0.0, 1.0 / alone["recorded"]
    for _ in range(12):
        claim = (low + high) / 2
        recorded, _ = drain(replace(costs, claim=claim), place, count)
        low, high = (claim, high) if recorded > alone["recorded"] else (low, claim)
    return replace(costs, claim=low)


def measure(count: int, rounds: int) -> None:
    """Measure, compare with the model, and keep the calibration."""
    numbers = (1, 2, 4)
    with tempfile.TemporaryDirectory(prefix="osler-capacity-") as name:
        folder = Path(name)
        front = prepare(folder, count)
        found: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
        spun: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
        for turn in range(rounds):
            for number in numbers:
                spun[number].append(spin(folder / "image.dcm", number, 3.0))
                found[number].append(work(folder / "data", folder / f"{number}-{turn}", number, count))
                print(number, spun[number][-1], found[number][-1], flush=True)
    # A processor's worth is what one reading takes of it when one process reads.
    one_s = min(cpu_s for _, cpu_s in spun[1])
    speeds = {number: statistics.median(rate for rate, _ in spun[number]) * one_s for number in numbers}
    middle = {
        number: {key: statistics.median(one[key] for one in ones) for key in ones[0]} for number, ones in found.items()
    }
    costs = calibrate(front, middle[1], speeds, count)
    rows = []
    for number in numbers:
        said = drain(costs, Place(number, speeds=speeds, slice_s=0.005), count)
        rows.append([number, middle[number]["recorded"], said[0], middle[number]["done"], said[1]])
        print("{} workers  recorded {:.2f}/s, foretold {:.2f}   delivered {:.2f}/s, foretold {:.2f}".format(*rows[-1]))
    document = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[2],
        "studies": count,
        "rounds": rounds,
        "speeds": speeds,
        "costs": asdict(costs),
        "rows": rows,
        "each": {number: [[one["recorded"], one["done"]] for one in ones] for number, ones in found.items()},
    }
    CALIBRATION.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- report

WORKERS = (1, 4, 16, 64, 250, 1000)
HEAVY_S = 30.0
"""A model of CT volumes: assumed, not measured."""
PLACES = (
    ("a clinic", 100, Place(1)),
    ("a hospital", 2_400, Place(2)),
    ("a group of 50 hospitals, each with its own", 120_000, Place(100, hubs=50, databases=50)),
    ("a group of 50 hospitals, one hub for all", 120_000, Place(100)),
    ("a country, 100 hubs that share 10 databases", 10_000_000, Place(1000, hubs=100, databases=10)),
    ("a country, one database", 10_000_000, Place(1000, hubs=100)),
)


def curves(costs: Costs) -> dict[str, list[tuple[int, float, str]]]:
    """Return, for each curve, workers, studies a day and what gives out first."""
    heavy = replace(costs, worker=HEAVY_S)
    kinds = {
        "one hub": (costs, lambda n: Place(n)),
        "a hub for 4 workers, one database": (costs, lambda n: Place(n, hubs=-(-n // 4))),
        "a hub for 4 workers, a database for 10 hubs": (
            costs, lambda n: Place(n, hubs=-(-n // 4), databases=-(-n // 40)),
        ),
        f"a model of {HEAVY_S:.0f} s, one hub": (heavy, lambda n: Place(n)),
    }  # fmt: skip
    found: dict[str, list[tuple[int, float, str]]] = {}
    for name, (given, make) in kinds.items():
        for n in WORKERS:
            per_day, _, first = most(given, make(n))
            found.setdefault(name, []).append((n, per_day, first))
    return found


def report() -> None:
    """Write the tables between the marks of the page, and the plots beside it."""
    kept = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    costs = Costs(**kept["costs"])
    found = curves(costs)
    series = {name: [(n, rate) for n, rate, _ in points] for name, points in found.items()}
    svg = log_log(series, across="workers", up="studies a day")
    (DOCS / "capacity.svg").write_text(svg, encoding="utf-8")
    page = DOCS / "capacity.md"
    head, mark, _ = page.read_text(encoding="utf-8").partition("<!-- written by bench/capacity.py -->\n")
    page.write_text(head + mark + "\n" + "\n".join(_tables(kept, costs, found)) + "\n", encoding="utf-8")


def _tables(kept: dict[str, Any], costs: Costs, found: dict[str, list[tuple[int, float, str]]]) -> Iterator[str]:
    speeds = ", ".join(f"{value:.2f} to {number}" for number, value in kept["speeds"].items())
    yield (
        f"Measured with {kept['cores']} cores that others used as well (load {kept['load']:.1f}): processors' worth "
        f"given to processes that work at once: {speeds}. {kept['studies']} studies, the median of {kept['rounds']}."
    )
    yield from ("", "| step of a study | seconds |", "|---|---:|")
    yield from (f"| {name} | {value:.4f} |" for name, value in kept["costs"].items())
    yield from ("", "| workers here | to the record, a second: measured | foretold | error |", "|---|---:|---:|---:|")
    for number, measured, said, _, _ in kept["rows"]:
        yield f"| {number} | {measured:.2f} | {said:.2f} | {said / measured - 1:+.0%} |"
    yield from ("", "| workers here | to the last delivery, a second: measured | foretold | error |")
    yield "|---|---:|---:|---:|"
    for number, _, _, measured, said in kept["rows"]:
        yield f"| {number} | {measured:.2f} | {said:.2f} | {said / measured - 1:+.0%} |"
    yield from ("", "| place | studies a day | p95 to alert, s | busiest in the peak hour |", "|---|---:|---:|---|")
    for name, per_day, place in PLACES:
        p95, shares = hour(costs, place, per_day, most=4000)
        busiest = max(shares, key=shares.__getitem__)
        words = f"{busiest}, {shares[busiest]:.0%}" if p95 <= 60 else f"{busiest}: it does not keep up"
        yield f"| {name} | {per_day:,} | {f'{p95:.1f}' if p95 <= 60 else 'grows'} | {words} |"
    for name, points in found.items():
        yield from ("", f"| {name}: workers | studies a day | gives out first |", "|---|---:|---|")
        yield from (f"| {n} | {rate:,.0f} | {first} |" for n, rate, first in points)


if __name__ == "__main__":
    set_up_logs(sys.stderr, level="warning")
    if sys.argv[1:2] == ["spin"]:
        spinning(Path(sys.argv[2]), float(sys.argv[3]))
    elif sys.argv[1:2] == ["measure"]:
        measure(*(int(word) for word in (sys.argv[2:] + ["60", "3"][len(sys.argv[2:]) :])))
    else:
        report()
