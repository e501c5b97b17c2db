"""Loss that teaches joint attention where to look, from points that match in source and reference.

It is not in the paper, whose U-Nets start from Stable Diffusion, where attention finds similar points from the start.
From random weights the prediction loss alone leaves attention flat for thousands of steps (LOG.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.model.reference_attention import ReferenceFeatures, ReferenceStates


class MatchingLoss(NamedTuple):
    """Matching loss in nats; 0 if all attention to the reference is at the matching place."""

    mean: Tensor
    """(), mean over all points of the batch; 0 if there are none."""
    each: Tensor
    """(B,), recorded for each sample; NaN if it has no points."""


def matching_loss(queries: ReferenceStates, reference: ReferenceFeatures, matches: Tensor) -> MatchingLoss:
    """Compute the cross-entropy of attention over the reference's positions, mean over its layers and points.

    queries: layer -> (B, L, heads, C / heads) of the imitative U-Net; reference: the same layers' keys (B, R, C); both
    cover squares. matches: (B, K, 4), as in InpaintingBatch; points that are NaN or outside a picture do not count.
    The attention is the mean over heads, so that heads can share the work.
    """
    counted = ((matches >= 0) & (matches < 1)).all(dim=2)
    points = torch.where(counted[..., None], matches, 0.0)
    losses = [_surprise(query, reference[name].key, points) for name, query in queries.items()]
    surprise = torch.stack(losses).mean(dim=0) * counted
    num_points = counted.sum(dim=1)
    return MatchingLoss(
        mean=surprise.sum() / num_points.sum().clamp(min=1), each=(surprise.sum(dim=1) / num_points).detach()
    )


def _surprise(query: Tensor, key: Tensor, points: Tensor) -> Tensor:
    """-log of the share of the attention to the reference at each match, (B, K)."""
    num_heads, channels = query.shape[2:]
    source_cells, reference_cells = _cells(points[..., :2], query.shape[1]), _cells(points[..., 2:], key.shape[1])
    matched = query.gather(1, source_cells[..., None, None].expand(-1, -1, num_heads, channels))
    scores = torch.einsum("bkhc,brhc->bkhr", matched.float(), key.unflatten(-1, (num_heads, -1)).float())
    shares = (scores / channels**0.5).log_softmax(dim=-1).logsumexp(dim=2) - math.log(num_heads)
    return -shares.gather(2, reference_cells[..., None])[..., 0]


def _cells(points: Tensor, length: int) -> Tensor:
    """Index of the cell, row by row, in a square of `length` cells: x and y (B, K, 2) in [0, 1) -> (B, K)."""
    side = round(length**0.5)
    columns, rows = (points * side).long().unbind(dim=-1)
    return rows * side + columns
