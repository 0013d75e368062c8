"""Figures of merit and of agreement, each with its 95 % interval, in numpy."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

Z_95: Final = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

BINS: Final = 10
"""Equal-width bins of the expected calibration error."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; no figure where it is not defined (no positives, nobody disagrees by chance)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def document(self) -> dict[str, Any]:
        """Write it as JSON values."""
        if self.value is None or self.low is None or self.high is None:
            return {"value": self.value, "interval_95": None}
        return {"value": round(self.value, 4), "interval_95": [round(self.low, 4), round(self.high, 4)]}


UNDEFINED: Final = Estimate(None)


def proportion(hits: int, total: int) -> Estimate:
    """Estimate a proportion (interval: Wilson 1927)."""
    if total == 0:
        return UNDEFINED
    share, spread = hits / total, Z_95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def auroc(probability: Numbers, positive: Flags) -> Estimate:
    """Area under the ROC curve, ties counted half (interval: DeLong 1988, on the logit where that is defined)."""
    sick, well = probability[positive], probability[~positive]
    if not len(sick) or not len(well):
        return UNDEFINED
    # Share of the other group that each case lies on the right side of.
    over = _placements(sick, well)
    under = 1.0 - _placements(well, sick)
    area = float(over.mean())
    if len(sick) < 2 or len(well) < 2:
        return Estimate(area)
    error = math.sqrt(float(over.var(ddof=1)) / len(sick) + float(under.var(ddof=1)) / len(well))
    if error == 0.0 or area in (0.0, 1.0):
        # No pair is out of order: the rule of three bounds what so few cases can say.
        least = 3.0 / min(len(sick), len(well))
        return Estimate(area, max(0.0, area - least), min(1.0, area + least))
    logit, width = math.log(area / (1 - area)), Z_95 * error / (area * (1 - area))
    return Estimate(area, 1 / (1 + math.exp(-(logit - width))), 1 / (1 + math.exp(-(logit + width))))


def calibration_error(probability: Numbers, positive: Flags) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [
        inside.sum() * abs(float(probability[inside].mean()) - float(positive[inside].mean()))
        for inside in (place == number for number in range(BINS))
        if inside.any()
    ]
    return float(sum(gaps) / len(probability))


def kappa(first: Flags, second: Flags) -> Estimate:
    """Cohen's kappa of two readers (interval: its large-sample standard error, Cohen 1960)."""
    count = len(first)
    if count == 0:
        return UNDEFINED
    agreed = float((first == second).mean())
    one, other = float(first.mean()), float(second.mean())
    chance = one * other + (1 - one) * (1 - other)
    if chance >= 1.0:
        return UNDEFINED
    value = (agreed - chance) / (1 - chance)
    half = Z_95 * math.sqrt(agreed * (1 - agreed) / count) / (1 - chance)
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))


def mean_difference(first: Numbers, second: Numbers) -> Estimate:
    """Mean of second minus first, of paired numbers (interval: normal)."""
    if len(first) == 0:
        return UNDEFINED
    difference = second - first
    mean = float(difference.mean())
    if len(first) < 2:
        return Estimate(mean)
    half = Z_95 * float(difference.std(ddof=1)) / math.sqrt(len(first))
    return Estimate(mean, mean - half, mean + half)


def _placements(these: Numbers, those: Numbers) -> Numbers:
    """For each of these, the share of those that lie below it, ties half."""
    ordered = np.sort(those)
    below, upto = np.searchsorted(ordered, these, "left"), np.searchsorted(ordered, these, "right")
    return np.asarray((below + upto) / 2 / len(those), dtype=np.float64)
