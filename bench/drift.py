"""How soon a planted shift is found, and how often nothing is taken for one: ``python bench/drift.py``.

Cases come at the rate of a hospital, with figures that go up and down together, of two sites and four scanners. The
rule is the hub's own (:mod:`osler.monitor.drift`), over the streams that the hub would have.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from osler.monitor.drift import LOOK_EVERY, WINDOWS, Case, Sample, Stream, level, look

CATEGORIES = {
    "site": (("A", 0.6), ("B", 0.4)),
    "scanner": (("one", 0.4), ("two", 0.3), ("three", 0.2), ("four", 0.1)),
    "age": (("1-5y", 0.5), ("6-11y", 0.3), ("12-17y", 0.2)),
}
FIGURES = ("mean", "spread", "p01", "p50", "p99", "stretched_mean", "sharpness", "ood_score")
REFERENCE = 500
MONTH_S = 30 * 86400.0
UNSEEN = 2 * max(WINDOWS)


def correlation() -> np.ndarray:
    """Return how the figures go together: brightness figures much, the others a little."""
    matrix = np.full((len(FIGURES), len(FIGURES)), 0.2)
    matrix[:6, :6] = 0.6
    np.fill_diagonal(matrix, 1.0)
    return np.linalg.cholesky(matrix)


ROOT = correlation()
Plant = Callable[[dict[str, float], dict[str, str], np.random.Generator], None]


def nothing(numbers: dict[str, float], words: dict[str, str], rng: np.random.Generator) -> None:
    """Leave all as it is."""


def brighter(by: float) -> Plant:
    """Move the brightness figures by so many standard deviations: another exposure or display curve."""

    def plant(numbers: dict[str, float], words: dict[str, str], rng: np.random.Generator) -> None:
        for name in ("mean", "p01", "p50", "stretched_mean"):
            numbers[f"input:{name}"] += by

    return plant


def new_scanner(share: float) -> Plant:
    """Let a scanner that was not there before take a share of the work."""

    def plant(numbers: dict[str, float], words: dict[str, str], rng: np.random.Generator) -> None:
        if rng.random() < share:
            words["scanner"] = "five"

    return plant


def other_patients(numbers: dict[str, float], words: dict[str, str], rng: np.random.Generator) -> None:
    """Half of the cases get the scores of the sick."""
    if rng.random() < 0.5:
        numbers["score:pneumonia"] = float(rng.beta(8, 2))


def one_site(numbers: dict[str, float], words: dict[str, str], rng: np.random.Generator) -> None:
    """Change the protocol of the smaller site by 1.5 standard deviations; the other stays."""
    if words["site"] == "B":
        brighter(1.5)(numbers, words, rng)


def cases(rng: np.random.Generator, plant: Plant, count: int) -> Iterator[Case]:
    """Yield cases as they come in."""
    for start in range(0, count, 1000):
        many = min(1000, count - start)
        figures = rng.standard_normal((many, len(FIGURES))) @ ROOT.T
        scores = rng.beta(2, 5, many)
        picked = {
            name: rng.choice([n for n, _ in shares], size=many, p=[p for _, p in shares])
            for name, shares in CATEGORIES.items()
        }
        for row in range(many):
            numbers = {f"input:{name}": float(value) for name, value in zip(FIGURES, figures[row], strict=True)}
            numbers["score:pneumonia"] = float(scores[row])
            words = {name: str(values[row]) for name, values in picked.items()} | {"photometric": "MONOCHROME2"}
            plant(numbers, words, rng)
            yield Case(numbers, words)


class Watch:
    """The streams of one model, as :func:`osler.monitor.cases.streams_of` gives them."""

    def __init__(self) -> None:
        self.first: dict[str, list[Case]] = {}
        self.last: dict[str, list[Case]] = {}
        self.references: dict[str, Sample] = {}

    def take(self, case: Case) -> None:
        """File a case."""
        for name in ("all", f"site:{case.words['site']}", f"scanner:{case.words['scanner']}"):
            first, last = self.first.setdefault(name, []), self.last.setdefault(name, [])
            if len(first) < REFERENCE:
                first.append(case)
                self.references[name] = Sample(first)
            else:
                last.append(case)
                del last[: -max(WINDOWS)]

    def streams(self) -> list[Stream]:
        """Return the streams that can be tested."""
        return [
            Stream(name, self.references[name], Sample(last))
            for name, last in self.last.items()
            if len(last) >= min(WINDOWS)
        ]


def delay(seed: int, plant: Plant, *, spend: float) -> int | None:
    """Return how many cases after the shift the first alarm comes, or None within 1000; it looks as the hub does."""
    rng = np.random.default_rng(seed)
    watch = Watch()
    for case in cases(rng, nothing, 3000 + int(rng.integers(LOOK_EVERY))):
        watch.take(case)
    for number, case in enumerate(cases(rng, plant, 1000), 1):
        watch.take(case)
        if number % LOOK_EVERY == 0 and any(c.stands_out for c in look(watch.streams(), spend)):
            return number
    return None


def false_alarms(seed: int, *, months: float, rate: float, budget: float) -> tuple[int, int]:
    """Return the alarms and the looks of so many months in which nothing changes.

    As in the hub, what stands out is one alarm until it has not been seen for long.
    """
    rng = np.random.default_rng(seed)
    watch = Watch()
    seen: dict[tuple[str, str], int] = {}
    raised = looks = 0
    spend = level(LOOK_EVERY * 3600.0 / rate, false_alarms_a_month=budget)
    for number, case in enumerate(cases(rng, nothing, round(months * rate * 720)), 1):
        watch.take(case)
        if number % LOOK_EVERY or not (streams := watch.streams()):
            continue
        looks += 1
        found = {(c.stream, c.variable) for c in look(streams, spend) if c.stands_out}
        raised += any(number - seen.get(key, -UNSEEN) >= UNSEEN for key in found)
        seen |= dict.fromkeys(found, number)
    return raised, looks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="studies an hour")
    parser.add_argument("--budget", type=float, default=0.5, help="setting drift.false_alarms_a_month")
    parser.add_argument("--months", type=float, default=6.0, help="without any change")
    parser.add_argument("--runs", type=int, default=20, help="of each planted shift")
    options = parser.parse_args()
    spend = level(LOOK_EVERY * 3600.0 / options.rate, false_alarms_a_month=options.budget)
    print(f"{options.rate:g} studies an hour; a look each {LOOK_EVERY} studies spends {spend:.2g}")
    planted: dict[str, Plant] = {
        "brightness + 0.5 sd": brighter(0.5),
        "brightness + 0.75 sd": brighter(0.75),
        "brightness + 1 sd": brighter(1.0),
        "brightness + 2 sd": brighter(2.0),
        "a new scanner takes a tenth": new_scanner(0.1),
        "a new scanner takes a quarter": new_scanner(0.25),
        "half of the scores are of the sick": other_patients,
        "one of two sites + 1.5 sd": one_site,
    }
    for name, plant in planted.items():
        delays = [delay(seed, plant, spend=spend) for seed in range(options.runs)]
        found = sorted(d for d in delays if d is not None)
        within = sum(d <= 200 for d in found)
        middle = f"median {found[len(found) // 2]}, longest {found[-1]}" if found else "never"
        print(f"{name:36} found within 200: {within}/{options.runs}; within 1000: {len(found)}; {middle}", flush=True)
    began, raised, looks, seed = time.perf_counter(), 0, 0, 1000
    for _ in range(int(options.months)):  # each with a reference of its own, whose luck stays for the month
        alarms, looked = false_alarms(seed, months=1.0, rate=options.rate, budget=options.budget)
        raised, looks, seed = raised + alarms, looks + looked, seed + 1
        print(f"month {seed - 1000}: {alarms} false alarms in {looked} looks", flush=True)
    print(
        f"false alarms: {raised} in {int(options.months)} months ({looks} looks, "
        f"{time.perf_counter() - began:.0f} s), {raised / max(1, int(options.months)):.2f} a month"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
