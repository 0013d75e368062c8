"""How far it goes: a discrete-event model of the flow, calibrated by what is measured here.

    python bench/capacity.py measure    # 1, 2 and 4 workers on this machine, and what the model says of each
    python bench/capacity.py            # the tables and plots of docs/explanation/capacity.md

The model has the resources that the hub has: the cores of a host, the hub's own process (one thread of Python works
at a time), the database's one writer, the workers, and the threads that de-identify and deliver, one each. What a step
takes of them is measured with one worker; of two and four the model must foretell what is then measured. Measure on
a quiet machine.
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
from end_to_end import SETTINGS, finished, studies
from sqlalchemy import func, select, update

from osler import config as configuration
from osler.domain.states import JobState
from osler.hub.hub import Hub
from osler.hub.logs import set_up_logs
from osler.hub.opening import create_data_dir, open_stores
from osler.ingest.folder import send
from osler.storage.tables import job
from osler.stores import Stores
from osler.testing.peers import Pacs, Pager, free_ports

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
CALIBRATION = Path(__file__).with_name("capacity.json")
SLICE_S = 0.01
"""A core changes hands so often in the model."""


@dataclass(frozen=True)
class Costs:
    """What one study takes, seconds.

    ``front``, ``deidentify`` and ``publish`` are time of the hub's own process (to receive, to de-identify, to deliver
    to chart, PACS and pager); ``worker`` is processor time of a worker and its model; ``claim`` is what passes in a
    worker besides, while it waits for disk and database; ``write`` is how long the database's writer is held.
    """

    front: float
    deidentify: float
    publish: float
    worker: float
    claim: float
    write: float


@dataclass(frozen=True)
class Site:
    """What runs where. ``cores`` is what hub and workers share; None when each worker has a core of its own."""

    workers: int
    cores: int | None = None
    hubs: int = 1


class Flow:
    """The flow of one run of the model."""

    def __init__(self, env: simpy.Environment, costs: Costs, site: Site, draw: random.Random) -> None:
        self.env, self.costs, self.site, self.draw = env, costs, site, draw
        self.cores = simpy.Resource(env, site.cores) if site.cores else None
        self.hub = [simpy.Resource(env, 1) for _ in range(site.hubs)]
        self.deidentifiers = [simpy.Resource(env, 1) for _ in range(site.hubs)]
        self.publishers = [simpy.Resource(env, 1) for _ in range(site.hubs)]
        self.writer = simpy.Resource(env, 1)
        self.workers = simpy.Resource(env, site.workers)
        self.recorded: list[float] = []
        self.to_alert: list[float] = []
        self.busy = dict.fromkeys(("hub", "writer", "workers"), 0.0)

    def compute(self, seconds: float) -> Iterator[Any]:
        """Use a core for so long, giving it up after each slice when cores are shared."""
        if self.cores is None:
            yield self.env.timeout(seconds)
            return
        while seconds > 0:
            with self.cores.request() as core:
                yield core
                yield self.env.timeout(min(SLICE_S, seconds))
            seconds -= SLICE_S

    def in_hub(self, number: int, seconds: float) -> Iterator[Any]:
        """Use the hub's process: its threads take turns."""
        while seconds > 0:
            with self.hub[number].request() as turn:
                yield turn
                yield from self.compute(min(SLICE_S, seconds))
            self.busy["hub"] += min(SLICE_S, seconds)
            seconds -= SLICE_S

    def write(self) -> Iterator[Any]:
        """Hold the database's writer."""
        with self.writer.request() as turn:
            yield turn
            yield self.env.timeout(self.costs.write)
        self.busy["writer"] += self.costs.write

    def infer(self) -> Iterator[Any]:
        """Read a study with a worker, and record what it says."""
        with self.workers.request() as worker:
            yield worker
            began = self.env.now
            yield self.env.timeout(self.costs.claim)
            yield from self.compute(self.costs.worker)
            yield from self.write()
            self.busy["workers"] += self.env.now - began
        self.recorded.append(self.env.now)

    def study(self, hub: int = 0) -> Iterator[Any]:
        """Follow one study from its last instance to its alert."""
        arrived = self.env.now
        yield from self.in_hub(hub, self.costs.front)
        yield from self.write()
        with self.deidentifiers[hub].request() as turn:
            yield turn
            yield from self.in_hub(hub, self.costs.deidentify)
            yield from self.write()
        yield from self.infer()
        with self.publishers[hub].request() as turn:
            yield turn
            yield from self.in_hub(hub, self.costs.publish)
            yield from self.write()
        self.to_alert.append(self.env.now - arrived)


def drain(costs: Costs, workers: int, cores: int, count: int) -> float:
    """Foretell how many studies a second go from the queue to the record when ``count`` wait."""
    env = simpy.Environment()
    flow = Flow(env, costs, Site(workers, cores), random.Random(1))

    def one() -> Iterator[Any]:
        yield from flow.infer()
        with flow.publishers[0].request() as turn:
            yield turn
            yield from flow.in_hub(0, costs.publish)
            yield from flow.write()

    for _ in range(count):
        env.process(one())
    env.run()
    return count / max(flow.recorded)


def day(costs: Costs, site: Site, per_day: float, *, peak: float = 2.5, hours: float = 1.0) -> tuple[float, Flow]:
    """Simulate the busiest hour of a day; return the p95 of the time from last instance to alert, seconds."""
    env = simpy.Environment()
    flow = Flow(env, costs, site, random.Random(7))
    rate = per_day / 86400 * peak

    def arrivals() -> Iterator[Any]:
        number = 0
        while env.now < hours * 3600:
            yield env.timeout(flow.draw.expovariate(rate))
            env.process(flow.study(number % site.hubs))
            number += 1

    env.process(arrivals())
    env.run(until=hours * 3600 * 1.5)
    times = sorted(flow.to_alert)
    return (times[round(0.95 * (len(times) - 1))] if times else float("inf")), flow


def most(costs: Costs, site: Site, *, bound_s: float = 10.0) -> tuple[float, str]:
    """Return the most studies a day with a p95 within the bound, and what was busiest there."""

    def holds(per_day: float) -> tuple[bool, str]:
        # So many studies tell enough; a longer hour would only take longer.
        hours = min(1.0, 2000 / (per_day / 24 * 2.5))
        p95, flow = day(costs, site, per_day, hours=hours)
        shares = {
            "hub": flow.busy["hub"] / site.hubs,
            "writer": flow.busy["writer"],
            "workers": flow.busy["workers"] / site.workers,
        }
        arrived = per_day / 24 * 2.5 * hours
        return p95 <= bound_s and len(flow.to_alert) > 0.97 * arrived, max(shares, key=shares.__getitem__)

    low, high, busiest = 1.0, 100.0, "workers"
    while holds(high)[0]:
        low, high = high, high * 2
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        good, name = holds(middle)
        low, high = (middle, high) if good else (low, middle)
        busiest = busiest if good else name
    return low, busiest


# ------------------------------------------------------------------------------------------------------------ measure


def prepare(folder: Path, count: int) -> dict[str, float]:
    """Make a data folder in which ``count`` studies wait for a worker, and return what that took of the hub."""
    pacs, pager = Pacs(folder / "pacs"), Pager("bench-bench-bench")
    config = _settle(folder / "data", pacs, pager)
    inbox = folder / "inbox"
    inbox.mkdir()
    paths = studies(inbox, count)
    create_data_dir(config, {})
    with open_stores(config, {}) as stores:
        hub = Hub(stores, config, roles=("dimse", "deidentifier"))
        hub.start()
        before = time.process_time()
        send(paths, address=("127.0.0.1", int(config.text("dimse.address").rpartition(":")[2])))
        received = time.process_time()
        while stores.queue.counts()[JobState.SCHEDULED.value] < count:
            time.sleep(0.02)
        waiting = time.process_time()
        hub.stop()
        write_s = _write_s(stores)
    pacs.stop()
    pager.stop()
    # The sender works in this process as well: by bench/receive.py it takes about as much as the receiver.
    return {
        "front": (received - before) / count / 2,
        "deidentify": (waiting - received) / count,
        "write": write_s,
    }


def work(source: Path, folder: Path, workers: int, count: int) -> dict[str, float]:
    """Let so many workers read what waits; return studies a second, and what hub and workers took for each."""
    shutil.copytree(source, folder)
    pacs, pager = Pacs(folder / "pacs"), Pager("bench-bench-bench")
    config = _settle(folder, pacs, pager)
    with open_stores(config, {}) as stores:
        _hold(stores, 3600.0)
        hub = Hub(stores, config, roles=("deidentifier", "publisher"))  # the first of them takes in what workers say
        hub.start()
        command = [sys.executable, "-m", "osler", "worker", "--data-dir", str(folder)]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(workers)]
        for one in running:
            _loaded(one)
        started = sum(_cpu_s(one.pid) for one in running)
        cpu = time.process_time()
        began = _hold(stores, 0.0)
        while stores.queue.counts()[JobState.COMPLETED.value] < count:
            time.sleep(0.02)
        took = time.time() - began
        spent = sum(_cpu_s(one.pid) for one in running) - started
        while not finished(stores, count):
            time.sleep(0.05)
        hub_s = time.process_time() - cpu
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)
        hub.stop()
    pacs.stop()
    pager.stop()
    return {"rate": count / took, "hub": hub_s / count, "worker": spent / count}


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
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process may be gone already
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == pid or int(fields[1]) == pid:
                total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def _settle(folder: Path, pacs: Pacs, pager: Pager) -> configuration.Config:
    http, dimse = free_ports(2)
    folder.mkdir(exist_ok=True)
    text = SETTINGS.format(http=http, dimse=dimse, pacs=pacs.address, pager=pager.url)
    (folder / "osler.toml").write_text(text + "\n[worker]\nprocesses = 1\n", encoding="utf-8")
    return configuration.load({}, data_dir=folder)


def _write_s(stores: Stores) -> float:
    times = []
    for _ in range(50):
        began = time.perf_counter()
        stores.database.write(lambda connection: connection.execute(select(func.count()).select_from(job)).scalar())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(count: int) -> None:
    """Measure, compare with the model, and keep the calibration."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="osler-capacity-") as name:
        folder = Path(name)
        front = prepare(folder, count)
        alone = work(folder / "data", folder / "alone", 1, count)
        costs = Costs(
            front=front["front"],
            deidentify=front["deidentify"],
            publish=alone["hub"],
            worker=alone["worker"],
            claim=0.0,
            write=front["write"],
        )
        # What one worker waits for besides is what its pace leaves: the model is made to agree there, and there alone.
        costs = replace(costs, claim=max(0.0, 1 / alone["rate"] - 1 / drain(costs, 1, cores, count)))
        rows = []
        for workers in (1, 2, 4):
            rates = [work(folder / "data", folder / f"{workers}-{turn}", workers, count)["rate"] for turn in range(3)]
            rows.append([workers, statistics.median(rates), drain(costs, workers, cores, count)])
    for workers, measured, said in rows:
        print(f"{workers} workers  measured {measured:6.2f}/s   foretold {said:6.2f}/s   {said / measured - 1:+.1%}")
    CALIBRATION.write_text(json.dumps({"cores": cores, "costs": asdict(costs), "rows": rows}, indent=1) + "\n")


# ------------------------------------------------------------------------------------------------------------- report

WORKERS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
PLACES = (
    ("a clinic", 100, 1, 1),
    ("a hospital", 2400, 1, 2),
    ("a group of 50", 120_000, 50, 100),
    ("a country", 1_000_000, 400, 1000),
)
HEAVY_S = 30.0
"""A model of CT volumes, assumed and not measured."""


def curves(costs: Costs) -> dict[str, list[tuple[int, float, str]]]:
    """Return, for each curve, workers, studies a day and what was busiest."""
    heavy = replace(costs, worker=HEAVY_S)
    return {
        "chest radiographs, one hub": [(n, *most(costs, Site(n))) for n in WORKERS],
        "chest radiographs, a hub for 16 workers": [(n, *most(costs, Site(n, hubs=-(-n // 16)))) for n in WORKERS],
        f"a model of {HEAVY_S:.0f} s, one hub": [(n, *most(heavy, Site(n), bound_s=90.0)) for n in WORKERS],
    }


def draw(found: dict[str, list[tuple[int, float, str]]], rows: list[list[float]]) -> None:
    """Draw the two plots."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "osler", "font.family": "sans-serif", "font.size": 9}
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, points in found.items():
        axes.loglog([p[0] for p in points], [p[1] for p in points], marker="o", markersize=3, label=name)
    axes.set(xlabel="workers", ylabel="studies a day, p95 within the bound")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(DOCS / "capacity.svg", metadata={"Date": None})
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([r[0] for r in rows], [r[1] for r in rows], "o", label="measured")
    axes.plot([r[0] for r in rows], [r[2] for r in rows], "x-", label="foretold")
    axes.set(xlabel="workers on this machine", ylabel="studies a second", ylim=(0, None), xticks=[1, 2, 4])
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(DOCS / "capacity-here.svg", metadata={"Date": None})


def report() -> None:
    """Write the tables between the marks of the page, and the plots beside it."""
    kept = json.loads(CALIBRATION.read_text())
    costs = Costs(**kept["costs"])
    found = curves(costs)
    draw(found, kept["rows"])
    lines = ["| step | seconds a study |", "|---|---|", *(f"| {k} | {v:.4f} |" for k, v in kept["costs"].items()), ""]
    lines += ["| workers | measured, a second | foretold, a second | error |", "|---|---|---|---|"]
    lines += [f"| {n} | {m:.2f} | {s:.2f} | {s / m - 1:+.0%} |" for n, m, s in kept["rows"]]
    lines += ["", "| place | studies a day | hubs | workers | p95 to alert, s | busiest |", "|---|---|---|---|---|---|"]
    for place, per_day, hubs, workers in PLACES:
        hours = min(1.0, 8000 / (per_day / 24 * 2.5))
        p95, flow = day(costs, Site(workers, hubs=hubs), per_day, hours=hours)
        shares = {
            "hub": flow.busy["hub"] / hubs,
            "writer": flow.busy["writer"],
            "workers": flow.busy["workers"] / workers,
        }
        busiest = max(shares, key=shares.__getitem__)
        share = shares[busiest] / (hours * 3600)
        lines.append(f"| {place} | {per_day:,} | {hubs} | {workers} | {p95:.2f} | {busiest}, {share:.0%} |")
    for name, points in found.items():
        lines += ["", f"| {name}: workers | studies a day | busiest |", "|---|---|---|"]
        lines += [f"| {n} | {rate:,.0f} | {busiest} |" for n, rate, busiest in points]
    page = DOCS / "capacity.md"
    head, mark, _ = page.read_text(encoding="utf-8").partition("<!-- written by bench/capacity.py -->\n")
    page.write_text(head + mark + "\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    set_up_logs(sys.stderr)
    if sys.argv[1:2] == ["measure"]:
        measure(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
    else:
        report()
