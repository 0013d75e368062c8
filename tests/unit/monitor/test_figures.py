"""The measures of change: right values, and chances that are not too small."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.monitor.figures import Baseline, ks_chance, psi_of_shares, rejected, shares_chance, wilson


def test_the_distance_is_that_of_the_distribution_functions() -> None:
    assert Baseline(np.array([1.0, 2.0, 3.0, 4.0])).distance(np.array([3.0, 4.0, 5.0, 6.0])) == 0.5
    assert Baseline(np.array([1.0, 1.0])).distance(np.array([1.0, 1.0, 1.0])) == 0.0
    assert Baseline(np.array([0.0])).distance(np.array([1.0])) == 1.0


@pytest.mark.parametrize(("scaled", "chance"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)])
def test_the_chance_of_a_distance_is_that_of_the_tables(scaled: float, chance: float) -> None:
    n, m = 500, 200
    assert ks_chance(scaled / math.sqrt(n * m / (n + m)), n, m) == pytest.approx(chance, rel=0.01)


@pytest.mark.parametrize("window", [50, 200])
def test_without_a_change_small_chances_are_no_more_frequent_than_they_say(window: int) -> None:
    rng = np.random.default_rng(5)
    chances = np.array(
        [ks_chance(Baseline(rng.random(500)).distance(rng.random(window)), 500, window) for _ in range(4000)]
    )
    for level in (0.05, 0.01, 0.001):
        assert (chances <= level).mean() <= level + 3 * math.sqrt(level / len(chances))


def test_the_index_is_about_nothing_without_a_change_and_grows_with_it() -> None:
    rng = np.random.default_rng(6)
    before = Baseline(rng.normal(size=500))
    still = np.mean([before.psi(rng.normal(size=200)) for _ in range(200)])
    assert abs(still) < 0.03
    assert 0.1 < before.psi(rng.normal(0.5, size=5000)) < 0.5 < before.psi(rng.normal(1.0, size=5000))


def test_a_value_that_all_had_is_missed_on_both_sides() -> None:
    assert Baseline(np.ones(500)).psi(np.ones(200)) <= 0.0
    assert Baseline(np.ones(500)).psi(np.full(200, 0.9)) > 1.0
    assert Baseline(np.ones(500)).psi(np.full(200, 1.1)) > 1.0


def test_a_category_that_is_new_is_named() -> None:
    word, chance = shares_chance({"A": 300, "B": 200}, {"A": 28, "B": 12, "C": 10})
    assert word == "C"
    assert chance < 1e-8
    assert psi_of_shares({"A": 300, "B": 200}, {"A": 28, "B": 12, "C": 10}) > 0.25
    assert shares_chance({"A": 300, "B": 200}, {"A": 30, "B": 20})[1] > 0.5


def test_a_share_has_the_chance_of_fisher() -> None:
    # 3 of 4 against 1 of 4: one-sided 17/70 (Fisher's tea), so two-sided 34/70; two categories, each as likely.
    assert shares_chance({"milk": 1, "tea": 3}, {"milk": 3, "tea": 1})[1] == pytest.approx(2 * 34 / 70)


def test_benjamini_and_hochberg_take_the_last_that_lies_under_the_line() -> None:
    chances = [0.0001, 0.04, 0.019, 0.0095, 0.201, 0.5]
    assert rejected(chances, 0.05) == [True, False, True, True, False, False]
    assert rejected([], 0.05) == []
    assert rejected([0.03, 0.04], 0.05) == [True, True], "each alone would not pass Bonferroni"


def test_the_interval_of_a_share() -> None:
    assert wilson(8, 10) == pytest.approx((0.4901, 0.9433), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(5, 5)[1] == 1.0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_the_distance_is_the_largest_at_any_value(reference: list[int], recent: list[int]) -> None:
    def share(values: list[int], x: float) -> float:
        return sum(v <= x for v in values) / len(values)

    largest = max(abs(share(reference, x) - share(recent, x)) for x in range(-1, 11))
    found = Baseline(np.array(reference, float)).distance(np.array(recent, float))
    assert found == pytest.approx(largest)
