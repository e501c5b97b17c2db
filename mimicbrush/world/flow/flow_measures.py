"""Measure a flow network on held-out pairs, beside no motion and two estimators without weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.flow.classical_flow import dis_flow, tvl1_flow
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.statistics import bootstrap_mean
from mimicbrush.world.flow.moving_pairs import MovingPairs

BATCH_SIZE = 25
"""Pairs whose flow is estimated at once."""


def measure_flow(folder: Path, heldout: Mapping[str, MovingPairs]) -> dict:
    """Measure a folder's RAFT as `load_raft` loads it: end-point errors in pixels, with 95 % intervals over pairs.

    Only points that both pictures show are counted; where a pair has a moving object, only those on the object.
    """
    estimators: dict[str, FlowEstimator] = {
        "raft": load_raft(str(folder)),
        "no motion": lambda first, second: torch.zeros_like(first[:, :2]),
        "DIS": dis_flow(),
        "TV-L1": tvl1_flow(),
    }
    errors = {
        name: {label: _figures(mean_errors(estimate, pairs)) for label, estimate in estimators.items()}
        for name, pairs in heldout.items()
    }
    return {"end_point_error": errors}


@torch.no_grad()
def mean_errors(estimate: FlowEstimator, pairs: MovingPairs) -> list[float]:
    """Mean distance of estimated and exact flow in each pair, in pixels."""
    errors = []
    for first in range(0, len(pairs.first), BATCH_SIZE):
        part = MovingPairs(*(field[first : first + BATCH_SIZE] for field in pairs))
        found = estimate(part.first.float() / 255, part.second.float() / 255)
        distance = (found - part.flow.float()).norm(dim=1, keepdim=True)
        errors += _means(distance, judged_points(part))
    return errors


def judged_points(pairs: MovingPairs) -> Tensor:
    """Whether each point counts, (N, 1, H, W): it is visible, and on the object where there is one."""
    has_object = pairs.on_object.flatten(1).any(dim=1)[:, None, None, None]
    return pairs.visible & (pairs.on_object | ~has_object)


def _means(values: Tensor, chosen: Tensor) -> list[float]:
    """Mean of the chosen values of each pair; pairs without any are left out."""
    values, chosen = (field[chosen.flatten(1).any(dim=1)] for field in (values, chosen))
    return ((values * chosen).sum(dim=(1, 2, 3)) / chosen.sum(dim=(1, 2, 3))).tolist()


def _figures(errors: list[float]) -> dict:
    interval = bootstrap_mean(errors)
    return {"mean": interval.mean, "interval": [interval.low, interval.high], "pairs": interval.count}
