"""Faults over a mixed load, seeded and repeatable in what is struck and for how long.

    make chaos FAULTS=1000 SEED=1

starts a hub, two worker hosts, a database and a broker, a PACS and a pager, sends studies and messages without end, and
strikes. After each fault it waits until all that was acknowledged before its end has its results, and something new
has come through: that is the time to recover. After each batch the load rests, and what is lost, doubled or missing in
the audit is counted. It writes ``report.json`` and ``report.html``.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from chaos import checks, report
from chaos.faults import FAULTS, Strike, plan
from chaos.load import Load
from chaos.place import Place, poll
from conftest import find_program

BOUND_S = 30.0
_GIVE_UP_S = 120.0


@dataclass
class Struck:
    """A fault that was, and how long it took until all was well; None when it never was."""

    strike: Strike
    recovery_s: float | None


@dataclass
class Outcome:
    """What a run found."""

    seed: int
    servers: bool
    left_out: list[str]
    struck: list[Struck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    checks: int = 0
    studies: int = 0
    messages: int = 0
    repeated: int = 0
    restarts: int = 0
    seconds: float = 0.0
    log: str = ""

    @property
    def late(self) -> list[Struck]:
        """Those that took longer than they may."""
        return [one for one in self.struck if one.recovery_s is None or one.recovery_s > BOUND_S]


def run(
    folder: Path,
    *,
    seed: int,
    count: int,
    servers: bool,
    batch: int = 25,
    longest_s: float = 4.0,
    until: float = float("inf"),
    only: Collection[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Strike so many times; ends early at the first problem, or at a monotonic time."""
    began = time.monotonic()
    place = Place(folder, servers=servers)
    load = Load(place)
    outcome = Outcome(seed, servers, [name for name, fault in FAULTS.items() if not fault.needs(place)])
    try:
        load.start()
        assert poll(lambda: _through(place, load, since=began), 60, place), f"nothing comes through\n{place.hub.log}"
        for strike in plan(place, seed=seed, count=count, longest_s=longest_s, only=only):
            struck = Struck(strike, _strike(place, load, strike))
            outcome.struck.append(struck)
            say(f"{strike.number:5d}  {' + '.join(strike.names):45s} {_words(struck.recovery_s)}")
            last = strike.number == count or time.monotonic() > until or struck.recovery_s is None
            if strike.number % batch == 0 or last:
                outcome.problems += _check(place, load)
                outcome.checks += 1
                say(f"       {len(load.studies)} studies, {len(load.messages)} messages: "
                    f"{'; '.join(outcome.problems) or 'nothing lost, doubled or missing'}")  # fmt: skip
            if last or outcome.problems:
                break
        outcome.studies, outcome.messages = len(load.studies), len(load.messages)
        outcome.repeated, outcome.restarts = place.arrivals.repeated, place.restarts
    finally:
        load.stop()
        outcome.log = place.hub.log
        place.close()
    outcome.seconds = time.monotonic() - began
    return outcome


def _strike(place: Place, load: Load, strike: Strike) -> float | None:
    """Let a fault begin, last and end; return how long after its end all was well, seconds."""
    time.sleep(strike.before_s)
    faults = [FAULTS[name] for name in strike.names]
    for fault in faults:
        fault.begin(place)
        time.sleep(strike.hold_s / len(faults))
    ended = time.monotonic()
    for fault in reversed(faults):
        fault.end(place)
    before = set(load.studies)

    def well() -> bool:
        return (
            _through(place, load, since=ended)
            and before <= place.arrivals.documents.keys()
            and len(place.arrivals.alerts) >= len(before)
        )

    return time.monotonic() - ended if poll(well, _GIVE_UP_S, place) else None


def _through(place: Place, load: Load, *, since: float) -> bool:
    """Whether a study that was acknowledged since has its SR, and a message was acknowledged."""
    place.arrivals.look()
    new = {uid for uid, at in list(load.studies.items()) if at > since}
    spoken = any(at > since for at in list(load.messages.values())[-3:])
    return spoken and bool(new & place.arrivals.documents.keys())


def _check(place: Place, load: Load) -> list[str]:
    load.pause()
    found = [] if poll(lambda: checks.settled(place, load), _GIVE_UP_S, place, 0.3) else ["all has not come to rest"]
    found += checks.problems(place, load)
    load.resume()
    return found


def _words(recovery_s: float | None) -> str:
    return "has not recovered" if recovery_s is None else f"{recovery_s:5.1f} s"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="faults over a mixed load")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="end after the fault that is then under way"
    )
    parser.add_argument("--only", nargs="*", default=(), help="faults with one of these in their name, no others")
    parser.add_argument("--embedded", action="store_true", help="SQLite and the embedded queue, also where servers are")
    parser.add_argument("--out", type=Path, default=Path("build/chaos"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing that was started is left behind
    servers = not given.embedded and servers_at_hand()
    until = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="osler-chaos-") as folder:
        outcome = run(Path(folder), seed=given.seed, count=given.faults, servers=servers, until=until,
                      only=given.only, say=lambda line: _print(line, sys.stderr))  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    report.write(outcome, given.out, asked=given.faults)
    _print(report.summary(outcome, asked=given.faults), sys.stdout)
    return 1 if outcome.problems or outcome.late else 0


def _print(line: str, stream: TextIO) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def servers_at_hand() -> bool:
    """Whether PostgreSQL and RabbitMQ are installed here."""
    return all(find_program(name) for name in ("initdb", "postgres", "/usr/lib/rabbitmq/bin/rabbitmq-server", "epmd"))


if __name__ == "__main__":
    sys.exit(main())
