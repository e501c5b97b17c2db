from __future__ import annotations

import numpy as np
import pytest

from mimicbrush.statistics import bootstrap_mean


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
