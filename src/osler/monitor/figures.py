"""Is this the same distribution as before? Measures of change and their chances, in numpy alone.

References
----------
N. Smirnov, Ann. Math. Stat. 19 (1948) 279-281; R. A. Fisher's exact test, by the hypergeometric distribution;
Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289-300; E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_BINS: Final = 10
_TERMS: Final = 100
_SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")
_HALF: Final = 0.5


class Baseline:
    """What recent values are compared with.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        At least one.
    """

    def __init__(self, values: Values) -> None:
        self.values = np.sort(values)
        edges, counts = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]), return_counts=True)
        # A value that many have is a bin of its own.
        self._edges = np.union1d(edges, np.nextafter(edges[counts > 1], np.inf))
        self._shares = self._binned(values)

    def __len__(self) -> int:
        return len(self.values)

    def distance(self, recent: Values) -> float:
        """Return the largest distance between the two empirical distribution functions, in [0, 1].

        Parameters
        ----------
        recent : ndarray of float64, shape (m,)
        """
        own = np.sort(recent)  # between two of its steps only the other function rises: look at both sides of each
        gaps = [
            np.searchsorted(self.values, own, side) / len(self.values) - np.searchsorted(own, own, side) / len(own)
            for side in _SIDES
        ]
        return float(np.abs(gaps).max())

    def psi(self, recent: Values) -> float:
        """Return the population stability index over the tenths, less what chance alone gives on average.

        Parameters
        ----------
        recent : ndarray of float64, shape (m,)

        Returns
        -------
        float
            0 for none; above 0.1 is called a moderate change, above 0.25 a large one. It can be below 0 by chance.
        """
        return _index(self._shares, self._binned(recent))

    def _binned(self, values: Values) -> Values:
        places = np.searchsorted(self._edges, values, side="right")
        return np.bincount(places, minlength=len(self._edges) + 1).astype(np.float64)


def ks_chance(statistic: float, n: int, m: int) -> float:
    """Return the chance of so large a distance between samples of ``n`` and ``m`` values of one distribution.

    Smirnov's limit, which for finite samples and for ties lies on the safe side: the chance is not larger than this.
    """
    scaled = statistic * math.sqrt(n * m / (n + m))
    if scaled < 0.3:  # the series needs too many terms, and the chance is 1 to five places
        return 1.0
    terms = (2.0 * (-1.0) ** (k - 1) * math.exp(-2.0 * k * k * scaled * scaled) for k in range(1, _TERMS))
    return min(1.0, max(0.0, sum(terms)))


def psi_of_shares(reference: Mapping[str, int], recent: Mapping[str, int]) -> float:
    """Return the index for counts by category, in the same way."""
    names = sorted({*reference, *recent})
    return _index(
        np.array([reference.get(name, 0) for name in names], np.float64),
        np.array([recent.get(name, 0) for name in names], np.float64),
    )


def _index(before: Values, now: Values) -> float:
    n, m = before.sum(), now.sum()
    p, q = (before + _HALF) / (n + _HALF * len(before)), (now + _HALF) / (m + _HALF * len(now))
    return float(((q - p) * np.log(q / p)).sum() - (len(before) - 1) * (1 / n + 1 / m))


def shares_chance(reference: Mapping[str, int], recent: Mapping[str, int]) -> tuple[str, float]:
    """Return the category whose share changed most surely, and the chance of so large a change in any of them.

    Fisher's exact test of each category against the rest, times the number of categories (Bonferroni).
    """
    names = sorted({*reference, *recent})
    n, m = sum(reference.values()), sum(recent.values())
    log_factorials = np.concatenate([[0.0], np.log(np.arange(1, n + m + 1)).cumsum()])
    chances = [(_fisher(reference.get(name, 0), recent.get(name, 0), n, m, log_factorials), name) for name in names]
    chance, name = min(chances)
    return name, min(1.0, chance * len(names))


def _fisher(before: int, now: int, n: int, m: int, log_factorials: Values) -> float:
    """Return the two-sided chance of ``now`` of ``m``, given ``before`` of ``n``."""

    def log_choose(whole: int, part: npt.NDArray[np.int64]) -> Values:
        logs: Values = log_factorials[whole] - log_factorials[part] - log_factorials[whole - part]
        return logs

    total = before + now
    low = max(0, total - n)
    k = np.arange(low, min(m, total) + 1)
    shares = np.exp(log_choose(m, k) + log_choose(n, total - k) - log_choose(n + m, np.array(total)))
    return float(min(1.0, 2.0 * min(shares[: now - low + 1].sum(), shares[now - low :].sum())))


def rejected(chances: Sequence[float], level: float) -> list[bool]:
    """Say which of the tests of one look stand out, by the procedure of Benjamini and Hochberg.

    When nothing has changed, the chance that any stands out is ``level`` (tests that go up and down together included).
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    last = max((rank for rank, i in enumerate(order, 1) if chances[i] <= level * rank / len(chances)), default=0)
    chosen = set(order[:last])
    return [i in chosen for i in range(len(chances))]


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share by Wilson's score, 95 % unless ``z`` says otherwise; (0, 1) of nothing."""
    if of == 0:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)
