"""The faults, and a plan of them that a seed gives."""

import random
import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass

from chaos.place import WORKERS, Place

AHEAD_S = 5 * 86_400.0
_SLOW_S = 0.3


@dataclass(frozen=True)
class Fault:
    """What begins and ends a fault; ``needs`` tells whether a place can have it."""

    begin: Callable[[Place], None]
    end: Callable[[Place], None] = lambda place: None
    needs: Callable[[Place], bool] = lambda place: True


@dataclass(frozen=True)
class Strike:
    """One entry of a plan.

    Parameters
    ----------
    number : int
        From 1.
    names : tuple of str
        One fault, or two of which the second comes and goes while the first lasts.
    before_s, hold_s : float
        How long work flows before it, and how long it lasts.
    """

    number: int
    names: tuple[str, ...]
    before_s: float
    hold_s: float


def _link(name: str) -> dict[str, Fault]:
    def there(place: Place) -> bool:
        return name in place.links

    def mend(place: Place) -> None:
        place.links[name].restore()

    return {
        f"{name} link cut": Fault(lambda place: place.links[name].cut(), mend, there),
        f"{name} link frozen": Fault(lambda place: place.links[name].freeze(), mend, there),
        f"{name} link slow": Fault(lambda place: place.links[name].slow(_SLOW_S), mend, there),
    }


def _worker(number: int) -> dict[str, Fault]:
    def launch(place: Place) -> None:
        place.launch_worker(number)

    return {
        f"worker {number} killed": Fault(lambda place: place.kill_worker(number), launch),
        f"worker {number} stopped": Fault(
            lambda place: place.signal_worker(number, signal.SIGSTOP),
            lambda place: place.signal_worker(number, signal.SIGCONT),
        ),
    }


def _kill_database(place: Place) -> None:
    assert place.database_server is not None
    place.database_server.kill()


def _start_database(place: Place) -> None:
    assert place.database_server is not None
    place.database_server.start()


def _kill_broker(place: Place) -> None:
    assert place.broker is not None
    place.broker.kill()


def _start_broker(place: Place) -> None:
    assert place.broker is not None
    place.broker.start()


_LINKS = ("pacs", "pager", "dimse", "http", "mllp", "database", "broker")
_BY_LINK = [_link(name) for name in _LINKS]

# A group has the faults of one kind: each kind is as likely as another, however many members it has.
GROUPS: tuple[dict[str, Fault], ...] = (
    {"hub killed": Fault(lambda place: place.hub.kill(), Place.launch_hub)},
    {k: f for number in range(WORKERS) for k, f in _worker(number).items() if "killed" in k},
    {"models killed": Fault(Place.kill_models)},
    {
        "hub stopped": Fault(
            lambda place: place.signal_hub(signal.SIGSTOP), lambda place: place.signal_hub(signal.SIGCONT)
        )
    },
    {k: f for number in range(WORKERS) for k, f in _worker(number).items() if "stopped" in k},
    {"database killed": Fault(_kill_database, _start_database, lambda place: place.database_server is not None)},
    {"broker killed": Fault(_kill_broker, _start_broker, lambda place: place.broker is not None)},
    *({k: f for faults in _BY_LINK for k, f in faults.items() if k.endswith(how)} for how in ("cut", "frozen", "slow")),
    {"disk full": Fault(Place.fill_disk, Place.free_disk, lambda place: place.disk is not None)},
    {
        "clock five days ahead": Fault(lambda place: place.set_clock(AHEAD_S), lambda place: place.set_clock(0.0)),
    },
)
FAULTS: dict[str, Fault] = {name: fault for group in GROUPS for name, fault in group.items()}


def plan(place: Place, *, seed: int, count: int, longest_s: float = 4.0, only: Collection[str] = ()) -> list[Strike]:
    """Draw the faults: all kinds that the place can have in turn, in an order of chance, one in six with a second."""
    chance = random.Random(seed)
    groups = [
        names
        for group in GROUPS
        if (names := [n for n, fault in group.items() if fault.needs(place) and _wanted(n, only)])
    ]
    deck: list[list[str]] = []
    strikes = []
    for number in range(1, count + 1):
        if not deck:
            deck = chance.sample(groups, len(groups))
        names = [chance.choice(deck.pop())]
        others = [group for group in groups if names[0] not in group]
        if chance.random() < 1 / 6 and others:
            names.append(chance.choice(chance.choice(others)))
        strikes.append(Strike(number, tuple(names), chance.uniform(0.0, longest_s / 3), chance.uniform(0.2, longest_s)))
    return strikes


def _wanted(name: str, only: Collection[str]) -> bool:
    return not only or any(part in name for part in only)
