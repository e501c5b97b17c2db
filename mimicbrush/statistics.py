"""Means with intervals, and paired comparisons, for samples that come in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import norm, t

Better = Literal["higher", "lower"]
TIE = 1e-6
"""Values that differ by no more are equal: the same edit scored in another batch differs by rounding."""


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval, over `count` values in `groups` independent groups."""

    mean: float
    low: float
    high: float
    count: int
    groups: int


class Paired(NamedTuple):
    """How the second of two lists of values does against the first, value by value."""

    difference: Interval | None
    """Mean of second minus first over the pairs whose values are both finite; None where there is none."""
    win_rate: Interval | None
    """Share of pairs in which the second is better, a tie counting half; None where no direction is better."""
    infinite: int
    """Pairs with an infinite value: they count in the win rate, and the difference leaves them out."""


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[str] | None = None, *, num_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean of `values` and the 95 % percentile interval of its bootstrap distribution.

    groups: one name per value; whole groups are resampled, because pairs of one clip or photograph are not
    independent. None: every value stands for itself. Raises ValueError where there are no values or counts differ.
    The percentiles are expanded as few groups need (Hesterberg, 2015): of 2 000 draws of normal values, plain ones held
    the mean in 79 % at 4 groups, 86 at 6, 93 at 30; these in 87, 93 and 94.
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


def _expanded_tail(num_groups: int) -> float:
    """What to cut off at either end: 0.025, made smaller as Student's t and the bootstrap's lack of spread ask."""
    if num_groups < 2:
        return 0.025  # one group is drawn again and again: its interval is its mean
    spread = math.sqrt(num_groups / (num_groups - 1))
    return float(norm.cdf(-spread * t.ppf(0.975, num_groups - 1)))


def compare_pairs(
    first: Sequence[float], second: Sequence[float], groups: Sequence[str], *, better: Better | None
) -> Paired:
    """Difference and win rate of `second` against `first`, with intervals over `groups`; values may be infinite.

    Raises ValueError where there are no values or counts differ.
    """
    pairs = list(zip(first, second, groups, strict=True))
    finite = [(b - a, group) for a, b, group in pairs if math.isfinite(a) and math.isfinite(b)]
    return Paired(
        difference=bootstrap_mean(*zip(*finite, strict=True)) if finite else None,
        win_rate=bootstrap_mean([win(a, b, better) for a, b, _ in pairs], groups) if better else None,
        infinite=len(pairs) - len(finite),
    )


def win(first: float, second: float, better: Better) -> float:
    """1 where the second value is better, 0 where the first is, 0.5 for a tie; infinity ties with infinity."""
    if first == second or abs(second - first) <= TIE:
        return 0.5
    return float((second > first) == (better == "higher"))
