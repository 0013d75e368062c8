"""Figures that can be checked by hand, and intervals that hold what they promise."""

import numpy as np
import pytest

from osler.registry.measures import auroc, calibration_error, kappa, mean_difference, proportion

YES, NO = True, False


@pytest.mark.parametrize(
    ("probability", "positive", "area"),
    [
        ([0.9, 0.8, 0.2, 0.1], [YES, YES, NO, NO], 1.0),
        ([0.1, 0.2, 0.8, 0.9], [YES, YES, NO, NO], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [YES, YES, NO, NO], 0.5),
        ([0.9, 0.3, 0.5, 0.1], [YES, YES, NO, NO], 0.75),
        ([0.9, 0.3, 0.3, 0.1], [YES, YES, NO, NO], 0.875),
    ],
)
def test_the_area_is_the_share_of_pairs_in_order(probability, positive, area):
    found = auroc(np.array(probability), np.array(positive))
    assert found.value == pytest.approx(area)
    assert found.low is not None
    assert found.low <= area <= found.high
    assert (found.low, found.high) != (1.0, 1.0), "so few cases prove nothing"


def test_the_interval_of_the_area_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    truth, hits = 0.8413, 0  # of two normals that lie sqrt(2) apart
    for _ in range(300):
        values = np.concatenate([rng.normal(np.sqrt(2.0), 1.0, 40), rng.normal(0.0, 1.0, 60)])
        found = auroc(values, np.arange(100) < 40)
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 300 <= 0.99


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)]
)
def test_a_proportion_has_wilsons_interval(hits, total, low, high):
    found = proportion(hits, total)
    assert (found.value, found.low, found.high) == pytest.approx((hits / total, low, high), abs=1e-4)


def test_kappa_is_agreement_beyond_chance():
    # 20 both positive, 15 both negative, 5 and 10 apart: the example of every textbook.
    first = np.repeat([YES, YES, NO, NO], [20, 5, 10, 15])
    second = np.repeat([YES, NO, YES, NO], [20, 5, 10, 15])
    found = kappa(first, second)
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(0.4 - 1.959964 * np.sqrt(0.7 * 0.3 / 50) / 0.5, abs=1e-6)


@pytest.mark.parametrize("figure", [kappa, auroc])
def test_what_is_not_defined_is_no_number(figure):
    alike = np.array([YES, YES, YES])
    found = figure(alike.astype(float) if figure is auroc else alike, alike)
    assert found.document() == {"value": None, "interval_95": None}


def test_a_mean_difference_is_of_pairs():
    found = mean_difference(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.4, 0.6]))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 1.959964 * 0.1 / np.sqrt(3))


def test_calibration_is_the_gap_between_what_is_said_and_what_is_there():
    probability = np.array([0.95] * 4 + [0.05] * 4)
    positive = np.array([YES, YES, YES, NO, NO, NO, NO, NO])
    assert calibration_error(probability, positive) == pytest.approx((0.2 * 4 + 0.05 * 4) / 8)
