"""Where joint attention should look: told by points that are known to show the same thing in source and reference.

Not in the paper, whose U-Nets begin with Stable Diffusion's features, in which like finds like from the first step on.
From random weights the prediction loss alone leaves attention flat for thousands of steps (LOG.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.model.reference_attention import ReferenceFeatures, ReferenceStates


class MatchingLoss(NamedTuple):
    """In nats: 0 where all of the attention that the reference gets lies at the matching place."""

    mean: Tensor
    """(), over all points of the batch; 0 where there are none."""
    each: Tensor
    """(B,), for watching; NaN where a sample has no points."""


def matching_loss(queries: ReferenceStates, reference: ReferenceFeatures, matches: Tensor) -> MatchingLoss:
    """Cross-entropy of attention over the reference's places, mean over the layers that see it, and over points.

    queries: layer -> (B, L, heads, C / heads) of the imitative U-Net; reference: the same layers' keys (B, R, C); both
    cover squares. matches: (B, K, 4), as in InpaintingBatch; what is NaN or outside of either picture does not count.
    Heads share the work: what counts is the mean of their attention.
    """
    counted = ((matches >= 0) & (matches < 1)).all(dim=2)
    points = torch.where(counted[..., None], matches, 0.0)
    of_layers = [_surprise(query, reference[name].key, points) for name, query in queries.items()]
    surprise = torch.stack(of_layers).mean(dim=0) * counted
    num_points = counted.sum(dim=1)
    return MatchingLoss(
        mean=surprise.sum() / num_points.sum().clamp(min=1), each=(surprise.sum(dim=1) / num_points).detach()
    )


def _surprise(query: Tensor, key: Tensor, points: Tensor) -> Tensor:
    """-log of the share of the reference's attention at each match: (B, K)."""
    num_heads, channels = query.shape[2:]
    here, there = _cells(points[..., :2], query.shape[1]), _cells(points[..., 2:], key.shape[1])
    asked = query.gather(1, here[..., None, None].expand(-1, -1, num_heads, channels))
    scores = torch.einsum("bkhc,brhc->bkhr", asked.float(), key.unflatten(-1, (num_heads, -1)).float())
    shares = (scores / channels**0.5).log_softmax(dim=-1).logsumexp(dim=2) - math.log(num_heads)
    return -shares.gather(2, there[..., None])[..., 0]


def _cells(points: Tensor, length: int) -> Tensor:
    """(B, K, 2), x and y in [0, 1) -> (B, K): in which of the `length` cells of a square each lies, row by row."""
    side = round(length**0.5)
    columns, rows = (points * side).long().unbind(dim=-1)
    return rows * side + columns
