from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from mimicbrush.statistics import bootstrap_mean, bootstrap_share, compare_pairs, win


def test_interval_holds_the_mean_and_is_the_same_each_time():
    values = np.random.default_rng(0).normal(3, 1, 50)
    interval = bootstrap_mean(values)
    assert interval == bootstrap_mean(values)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    assert (interval.count, interval.groups) == (50, 50)


def test_interval_of_independent_values_agrees_with_the_normal_approximation():
    values = np.random.default_rng(0).normal(0, 1, 400)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.high - interval.mean == pytest.approx(half, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.1)


def test_groups_of_like_values_widen_the_interval():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 1, 10), 10) + rng.normal(0, 0.1, 100)
    groups = [f"clip{number // 10}" for number in range(100)]
    grouped, single = bootstrap_mean(values, groups), bootstrap_mean(values)
    assert grouped.mean == single.mean
    assert grouped.groups == 10
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


@pytest.mark.parametrize("count", [1, 6, 40])
def test_a_share_of_none_or_all_has_the_exact_interval_of_scipy(count):
    for successes in (0, count):
        exact = binomtest(successes, count).proportion_ci(method="exact")
        found = bootstrap_share([100.0 * (successes > 0)] * count, whole=100)
        assert found[:3] == pytest.approx((100 * successes / count, 100 * exact.low, 100 * exact.high))


def test_another_share_has_the_bootstrap_interval():
    assert bootstrap_share([0, 1, 1, 0, 1]) == bootstrap_mean([0, 1, 1, 0, 1])


def test_order_of_values_within_a_group_changes_nothing():
    values, groups = [1.0, 2.0, 5.0, 7.0], ["a", "a", "b", "b"]
    assert bootstrap_mean(values, groups) == bootstrap_mean([2.0, 1.0, 7.0, 5.0], groups)


def test_equal_values_have_no_width():
    assert bootstrap_mean([0.5] * 7)[:3] == (0.5, 0.5, 0.5)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="2 values but 1 groups"):
        bootstrap_mean([1.0, 2.0], ["a"])


def test_paired_difference_and_win_rate_by_hand():
    paired = compare_pairs([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 8.0], list("abcd"), better="higher")
    assert paired.difference.mean == pytest.approx((1 + 0 - 1 + 4) / 4)
    assert paired.win_rate.mean == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert paired.difference == bootstrap_mean([1.0, 0.0, -1.0, 4.0], list("abcd"))
    assert paired.infinite == 0


def test_lower_is_better_turns_the_win_rate_and_not_the_difference():
    higher, lower = (
        compare_pairs([1.0, 2.0, 3.0], [2.0, 4.0, 2.5], list("abc"), better=b) for b in ("higher", "lower")
    )
    assert higher.difference == lower.difference
    assert higher.win_rate.mean == pytest.approx(2 / 3) and lower.win_rate.mean == pytest.approx(1 / 3)


def test_infinity_counts_in_the_win_rate_and_not_in_the_difference():
    inf = math.inf
    paired = compare_pairs([10.0, inf, inf, 10.0], [inf, inf, 10.0, 13.0], list("abcd"), better="higher")
    assert paired.win_rate.mean == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert (paired.difference.mean, paired.difference.count, paired.infinite) == (3, 1, 3)
    assert compare_pairs([inf], [inf], ["a"], better="higher").difference is None


def test_metric_without_direction_has_no_win_rate():
    assert compare_pairs([1.0], [2.0], ["a"], better=None).win_rate is None


def test_paired_intervals_are_over_groups():
    first, second = [0.0] * 100, [float(number // 10) for number in range(100)]
    groups = [f"photograph{number // 10}" for number in range(100)]
    grouped = compare_pairs(first, second, groups, better="higher")
    single = compare_pairs(first, second, list(map(str, range(100))), better="higher")
    assert grouped.difference.groups == grouped.win_rate.groups == 10
    assert grouped.difference.high - grouped.difference.low > 2 * (single.difference.high - single.difference.low)


def test_rounding_is_a_tie():
    assert win(0.5, 0.5 + 1e-8, "higher") == 0.5
    assert win(0.5, 0.501, "higher") == 1 and win(0.5, 0.501, "lower") == 0
