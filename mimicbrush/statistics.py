"""Means with bootstrap intervals, and paired comparisons, for samples in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import norm, t

Better = Literal["higher", "lower"]
MIN_GROUPS = 6
"""Fewer groups decide nothing: without a difference, intervals of 2, 3, 4 groups exclude 0 in 48, 29, 13 % of cases."""
TIE = 1e-4
"""Largest difference of values that count as equal: scoring an edit in another batch changes the rounding."""


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval, over `count` values in `groups` independent groups."""

    mean: float
    low: float
    high: float
    count: int
    groups: int


class Paired(NamedTuple):
    """Comparison of a second list of values with a first one, value by value."""

    difference: Interval | None
    """Mean of second minus first over pairs of finite values; None if there are none."""
    win_rate: Interval | None
    """Share of pairs in which the second is better, a tie counting half; None if neither direction is better."""
    infinite: int
    """Number of pairs with an infinite value, which count for the win rate but not for the difference."""


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[str] | None = None, *, num_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Compute the mean of `values` and the 95 % percentile interval of its bootstrap distribution.

    groups: one name per value; whole groups are resampled, because pairs of one clip or photograph are not
    independent. None: every value is its own group. Raises ValueError if there are no values or the counts differ.
    The percentiles are expanded for small numbers of groups (Hesterberg, 2015). In 2000 draws of normal values, plain
    intervals contained the mean in 79 % with 4 groups, 86 % with 6 and 93 % with 30; these in 87, 93 and 94 %.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("no values to average")
    labels = np.arange(values.size) if groups is None else np.asarray(groups)
    if labels.shape != values.shape:
        raise ValueError(f"{values.size} values but {labels.size} groups")
    names, member = np.unique(labels, return_inverse=True)
    sums = np.bincount(member, weights=values)
    counts = np.bincount(member)
    drawn = np.random.default_rng(seed).integers(len(names), size=(num_resamples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = _expanded_tail(len(names))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high), int(values.size), len(names))


def bootstrap_share(values: Sequence[float], groups: Sequence[str] | None = None, *, whole: float = 1.0) -> Interval:
    """Compute the mean of values that are 0 or `whole`, and its 95 % interval.

    Where all values are equal, the bootstrap knows no spread; the interval then is Clopper and Pearson's exact one for
    as many trials as there are groups: 6 of 6 gives 54 % to 100 %.
    """
    interval = bootstrap_mean(values, groups)
    if interval.mean == 0:
        return interval._replace(high=whole * (1 - 0.025 ** (1 / interval.groups)))
    if interval.mean == whole:
        return interval._replace(low=whole * 0.025 ** (1 / interval.groups))
    return interval


def _expanded_tail(num_groups: int) -> float:
    """Share to cut off at either end: 0.025, reduced for Student's t and the bootstrap's underestimated spread."""
    if num_groups < 2:
        return 0.025  # with a single group, the interval is the mean
    spread = math.sqrt(num_groups / (num_groups - 1))
    return float(norm.cdf(-spread * t.ppf(0.975, num_groups - 1)))


def compare_pairs(
    first: Sequence[float], second: Sequence[float], groups: Sequence[str], *, better: Better | None
) -> Paired:
    """Compute the difference and the win rate of `second` against `first`, with intervals over `groups`.

    Values may be infinite. Raises ValueError if there are no values or the counts differ.
    """
    pairs = list(zip(first, second, groups, strict=True))
    finite = [(b - a, group) for a, b, group in pairs if math.isfinite(a) and math.isfinite(b)]
    return Paired(
        difference=bootstrap_mean(*zip(*finite, strict=True)) if finite else None,
        win_rate=bootstrap_mean([win(a, b, better) for a, b, _ in pairs], groups) if better else None,
        infinite=len(pairs) - len(finite),
    )


def win(first: float, second: float, better: Better) -> float:
    """Return 1 if the second value is better, 0 if the first is, and 0.5 for a tie, as of infinity with infinity."""
    if first == second or abs(second - first) <= TIE:
        return 0.5
    return float((second > first) == (better == "higher"))
