"""The correlation pyramid of RAFT (section 3.2): built once for a pair, looked up around the current match."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def correlation_pyramid(features1: Tensor, features2: Tensor, num_levels: int) -> list[Tensor]:
    """Correlate all pairs of cells: (B, C, h, w) twice -> level l is (B * h * w, 1, h // 2^l, w // 2^l)."""
    batch, channels, height, width = features1.shape
    products = features1.flatten(2).transpose(1, 2) @ features2.flatten(2) / math.sqrt(channels)
    pyramid = [products.reshape(batch * height * width, 1, height, width)]
    while len(pyramid) < num_levels:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, stride=2))
    return pyramid


def look_up(pyramid: Sequence[Tensor], coordinates: Tensor, radius: int) -> Tensor:
    """Interpolate windows around each cell's match: coordinates (B, 2, h, w), x then y, in cells of the first level.

    Returns (B, levels * (2 * radius + 1)^2, h, w). In the order of the channels, the level comes first, then the step
    in x, then the step in y: the weights were trained with this order. Outside the picture the correlation is 0.
    """
    batch, _, height, width = coordinates.shape
    side = 2 * radius + 1
    steps = torch.arange(-radius, radius + 1, dtype=coordinates.dtype, device=coordinates.device)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    centres = coordinates.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, correlation in enumerate(pyramid):
        size = torch.tensor([correlation.shape[-1], correlation.shape[-2]]).to(coordinates)
        grid = 2 * (centres / 2**level + window) / (size - 1) - 1
        values = F.grid_sample(correlation, grid, align_corners=True)
        found.append(values.reshape(batch, height, width, side**2))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()
