"""The rule by which drift is found: a look at every so many cases, with a budget of false alarms a month.

A **look** compares the last cases with the reference in every stream (all cases; those of one site, of one scanner) and
variable (figures of the images, categories, scores), over a short and a long window. Of all those tests together the
procedure of Benjamini and Hochberg says which stand out, at the level that the budget allows: a look spends what has
come in since the last one. Looks come with the cases, so a month has as many as it has; each may be false with the
chance that it spends; together they spend no more than the budget. A change must also be large enough to matter.
"""

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from osler.monitor.figures import Baseline, Values, ks_chance, psi_of_shares, rejected, shares_chance

LOOK_EVERY: Final = 25
"""Cases between two looks."""
WINDOWS: Final = (50, 200)
"""Last cases that are compared, a short window for large changes and a long one for small ones."""
MIN_PSI: Final = 0.1
"""A smaller change is no alarm however sure it is."""
_MONTH_S: Final = 30 * 86400.0
_HIGHEST_LEVEL: Final = 0.05

Kind = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Case:
    """What is watched of one case: figures by variable, and categories by variable."""

    numbers: Mapping[str, float]
    words: Mapping[str, str]

    def dumps(self) -> str:
        """Write it as JSON."""
        return json.dumps({"numbers": self.numbers, "words": self.words}, separators=(",", ":"), allow_nan=False)

    @classmethod
    def loads(cls, text: str) -> "Case":
        """Read what :meth:`dumps` wrote."""
        document = json.loads(text)
        return cls(document["numbers"], document["words"])


class Sample:
    """Cases in their order, by variable.

    Parameters
    ----------
    cases : iterable of Case
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._cases = list(cases)

    def __len__(self) -> int:
        return len(self._cases)

    def last(self, count: int) -> "Sample":
        """Return the last cases."""
        return Sample(self._cases[-count:])

    @functools.cached_property
    def numbers(self) -> Mapping[str, Values]:
        """Return the figures of each variable, ndarray of float64 of shape (case,); cases without one are left out."""
        names = dict.fromkeys(name for case in self._cases for name in case.numbers)
        return {name: np.array([c.numbers[name] for c in self._cases if name in c.numbers]) for name in names}

    @functools.cached_property
    def baselines(self) -> Mapping[str, Baseline]:
        """Return the figures of each variable, ready to be compared with."""
        return {name: Baseline(values) for name, values in self.numbers.items()}

    @functools.cached_property
    def words(self) -> Mapping[str, Counter[str]]:
        """Count the categories of each variable."""
        found: dict[str, Counter[str]] = {}
        for case in self._cases:
            for name, word in case.words.items():
                found.setdefault(name, Counter())[word] += 1
        return found


@dataclass(frozen=True, slots=True)
class Stream:
    """Cases that belong together; ``name`` is ``all``, ``site:NAME`` or ``scanner:NAME``."""

    name: str
    reference: Sample
    recent: Sample


@dataclass(frozen=True, slots=True)
class Change:
    """What a look saw of one variable of a stream over one window.

    Parameters
    ----------
    psi : float
        See :meth:`osler.monitor.figures.Baseline.psi`.
    chance : float
        Of so large a change when there is none.
    word : str
        The category that changed most surely; empty for figures.
    stands_out : bool
        Whether it is an alarm.
    """

    stream: str
    variable: str
    window: int
    psi: float
    chance: float
    word: str = ""
    stands_out: bool = False

    @property
    def kind(self) -> Kind:
        """Whether it is of what goes in or of what comes out."""
        return "output" if self.variable.startswith("score:") else "input"

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        named = {"word": self.word} if self.word else {}
        return {
            "stream": self.stream,
            "variable": self.variable,
            "kind": self.kind,
            "window": self.window,
            "psi": round(self.psi, 4),
            "chance": self.chance,
            **named,
            "stands_out": self.stands_out,
        }


def level(elapsed_s: float, *, false_alarms_a_month: float) -> float:
    """Return what a look may spend: the chance that it is false when nothing has changed."""
    return min(_HIGHEST_LEVEL, false_alarms_a_month * max(0.0, elapsed_s) / _MONTH_S)


def look(streams: Sequence[Stream], spend: float) -> list[Change]:
    """Compare the last cases of each stream with its reference.

    Parameters
    ----------
    streams : sequence of Stream
        One with fewer recent cases than a window has is not tested over it.
    spend : float
        See :func:`level`.
    """
    tests = [change for stream in streams for change in _tests(stream)]
    out = rejected([change.chance for change in tests], spend)
    return [
        Change(c.stream, c.variable, c.window, c.psi, c.chance, c.word, stands and c.psi >= MIN_PSI)
        for c, stands in zip(tests, out, strict=True)
    ]


def _tests(stream: Stream) -> Iterator[Change]:
    numbers, words = stream.reference.baselines, stream.reference.words
    for window in WINDOWS:
        if len(stream.recent) < window:
            continue
        recent = stream.recent if len(stream.recent) == window else stream.recent.last(window)
        for name, now in recent.numbers.items():
            before = numbers.get(name)
            if before is not None and len(now) >= window // 2:
                chance = ks_chance(before.distance(now), len(before), len(now))
                yield Change(stream.name, name, window, before.psi(now), chance)
        for name, counts in recent.words.items():
            if name in words:
                word, chance = shares_chance(words[name], counts)
                yield Change(stream.name, name, window, psi_of_shares(words[name], counts), chance, word)
