"""Figures of merit against answers worked out by hand."""

import math

import numpy as np
import pytest

from osler.models.cxr import measure


@pytest.mark.parametrize(
    ("score", "label", "area"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
    ],
)
def test_auroc(score: list[float], label: list[int], area: float) -> None:
    assert measure.auroc(np.array(score), np.array(label)) == pytest.approx(area)


def test_the_bootstrap_draws_patients_and_is_repeatable() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 300)
    score = label + rng.normal(0, 1, 300)
    group = np.repeat(np.arange(100).astype(str), 3)
    low, high = measure.auroc_interval(score, label, group, seed=1, rounds=200)
    assert low < measure.auroc(score, label) < high
    assert (low, high) == measure.auroc_interval(score, label, group, seed=1, rounds=200)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0)]
)
def test_wilson(hits: int, total: int, low: float, high: float) -> None:
    assert measure.wilson(hits, total) == pytest.approx((low, high), abs=2e-4)


def test_calibration_error_and_its_table() -> None:
    probability = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    table = measure.reliability(probability, np.array([0, 1, 1, 1, 0]), np.ones(5))
    assert [(row["from"], row["images"], row["observed"]) for row in table] == [(0.0, 2, 0.5), (0.9, 3, 0.6667)]
    assert measure.calibration_error(table) == pytest.approx(0.4 * 0.45 + 0.6 * 0.3, abs=1e-3)


def test_weights_give_the_prevalence() -> None:
    label = np.array([1, 1, 1, 0])
    weight = measure.weights_for(label, 0.5)
    assert weight[label == 1].sum() == pytest.approx(weight[label == 0].sum())
    assert weight.mean() == pytest.approx(1)


def test_temperature_is_found_again() -> None:
    rng = np.random.default_rng(5)
    logit = rng.normal(0, 2, 50_000)
    label = (rng.random(50_000) < 1 / (1 + np.exp(-logit))).astype(int)
    assert measure.fit_temperature(logit * 3, label, np.ones(50_000)) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("sensitivity", [0.5, 0.9, 0.97, 1.0])
def test_the_threshold_reaches_the_sensitivity_and_no_larger_one_does(sensitivity: float) -> None:
    probability = np.random.default_rng(2).random(1000)
    label = np.ones(1000, dtype=int)
    threshold = measure.threshold_for(probability, label, sensitivity=sensitivity)
    assert (probability >= threshold).mean() >= sensitivity
    assert (probability >= threshold + 0.002).mean() < sensitivity
    assert math.isclose(threshold * 1000, round(threshold * 1000), abs_tol=1e-9)
