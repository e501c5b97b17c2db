"""Means with intervals, for samples that come in groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval, over `count` values in `groups` independent groups."""

    mean: float
    low: float
    high: float
    count: int
    groups: int


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[str] | None = None, *, num_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean of `values` and the 95 % percentile interval of its bootstrap distribution.

    groups: one name per value; whole groups are resampled, because pairs of one clip or photograph are not
    independent. None: every value stands for itself. Raises ValueError where there are no values or counts differ.
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
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), int(values.size), len(names))
