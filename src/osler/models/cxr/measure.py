"""Figures of merit with their intervals, in numpy. Part of the training; never imported at run time."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

Z_95: Final = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

BINS: Final = 10
"""Equal-width bins of the reliability table and of the expected calibration error."""


def auroc(score: Numbers, label: Labels) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted half."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(label.sum())
    return float((rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives)))


def auroc_interval(
    score: Numbers, label: Labels, group: npt.NDArray[np.str_], *, seed: int, rounds: int = 1000
) -> tuple[float, float]:
    """95 % percentile bootstrap that draws whole patients."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(group == name) for name in np.unique(group)]
    areas = []
    for _ in range(rounds):
        index = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        areas.append(auroc(score[index], label[index]))
    low, high = np.percentile(areas, (2.5, 97.5))
    return float(low), float(high)


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    share, spread = hits / total, Z_95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def weights_for(label: Labels, prevalence: float) -> Numbers:
    """Weights under which the share of positives is ``prevalence``, with mean 1."""
    share = label.mean()
    weights: Numbers = np.where(label == 1, prevalence / share, (1 - prevalence) / (1 - share))
    return weights


def reliability(probability: Numbers, label: Labels, weight: Numbers) -> list[dict[str, float]]:
    """Mean probability and observed share in each bin that is not empty."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    table = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            w = weight[inside]
            table.append(
                {
                    "from": number / BINS,
                    "images": int(inside.sum()),
                    "weight": round(float(w.sum() / weight.sum()), 4),
                    "mean_probability": round(float(np.average(probability[inside], weights=w)), 4),
                    "observed": round(float(np.average(label[inside], weights=w)), 4),
                }
            )
    return table


def calibration_error(table: list[dict[str, float]]) -> float:
    """Sum up a reliability table as the expected calibration error."""
    return sum(row["weight"] * abs(row["mean_probability"] - row["observed"]) for row in table)


def fit_temperature(logit: Numbers, label: Labels, weight: Numbers) -> float:
    """Find the temperature with the least weighted log loss, by golden-section search over its logarithm."""

    def loss(log_temperature: float) -> float:
        z = logit.astype(np.float64) / math.exp(log_temperature)
        return float(np.average(np.logaddexp(0, z) - label * z, weights=weight))

    low, high, ratio = math.log(0.1), math.log(10), (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def threshold_for(probability: Numbers, label: Labels, *, sensitivity: float) -> float:
    """Find the largest threshold, to three decimals, at which the sensitivity is still reached."""
    positive = np.sort(probability[label == 1])
    return math.floor(float(positive[math.floor(len(positive) * (1 - sensitivity))]) * 1000) / 1000


def figures(
    probability: Numbers, label: Labels, group: npt.NDArray[np.str_], *, threshold: float, seed: int
) -> dict[str, Any]:
    """AUROC, sensitivity, specificity, each with its 95 % interval, of one set of images."""
    called = probability >= threshold
    hits, positives = int(called[label == 1].sum()), int(label.sum())
    passed, negatives = int((~called)[label == 0].sum()), int((label == 0).sum())
    return {
        "images": len(label),
        "patients": len(np.unique(group)),
        "auroc": _with_interval(auroc(probability, label), auroc_interval(probability, label, group, seed=seed)),
        "sensitivity": _with_interval(hits / positives, wilson(hits, positives)),
        "specificity": _with_interval(passed / negatives, wilson(passed, negatives)),
    }


def _with_interval(value: float, interval: tuple[float, float]) -> dict[str, Any]:
    return {"value": round(value, 4), "interval_95": [round(bound, 4) for bound in interval]}
