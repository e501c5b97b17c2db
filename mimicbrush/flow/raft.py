"""RAFT, recurrent all-pairs field transforms (Teed and Deng 2020, arXiv 2003.12039), of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mimicbrush.errors import UserError
from mimicbrush.flow.config import RaftConfig
from mimicbrush.flow.estimator import check_pictures
from mimicbrush.flow.raft_correlation import correlation_pyramid, look_up
from mimicbrush.flow.raft_encoder import Encoder
from mimicbrush.flow.raft_update import UpdateBlock


class Iteration(NamedTuple):
    """State after one update."""

    flow: Tensor
    """(B, 2, h, w) in cells of the features."""
    hidden: Tensor
    """(B, hidden_channels, h, w)."""


class Raft(nn.Module):
    """Estimates optical flow; a `FlowEstimator`.

    Sides are padded to a multiple of the stride, and to `config.min_side`, by repeating the border.
    `eval()` normalises the context by the running averages. `train()` normalises it by the batch's own statistics,
    padding included, and updates the averages, as the released editor of Motion Guidance does; networks without batch
    normalisation, such as RAFT small, compute the same in both modes.
    Submodules have the names of the authors' weight files.
    """

    def __init__(self, config: RaftConfig, num_iterations: int = 12) -> None:
        super().__init__()
        if num_iterations < 1:
            raise UserError(f"num_iterations is {num_iterations}, expected at least 1")
        self.config = config
        self.num_iterations = num_iterations
        context_norm = nn.BatchNorm2d if config.has_batch_norm else nn.Identity
        self.fnet = Encoder(config, config.feature_channels, nn.InstanceNorm2d)
        self.cnet = Encoder(config, config.hidden_channels + config.context_channels, context_norm)
        self.update_block = UpdateBlock(config)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the flow after the last iteration; see `FlowEstimator`."""
        *_, last = self.iterate(first, second)
        return self.upsample(last, first)

    def iterate(self, first: Tensor, second: Tensor) -> Iterator[Iteration]:
        """Yield the state after each iteration, on the grid of the padded pictures' features."""
        check_pictures(first, second)
        dtype = self.fnet.conv1.weight.dtype
        first, second = (self._pad(pictures.to(dtype)) * 2 - 1 for pictures in (first, second))
        features1, features2 = self.fnet(torch.cat([first, second])).to(torch.float32).chunk(2)
        pyramid = correlation_pyramid(features1, features2, self.config.num_levels)
        channels = (self.config.hidden_channels, self.config.context_channels)
        hidden, context = self.cnet(first).split(channels, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        start = _cell_coordinates(features1)
        coordinates = start
        for _ in range(self.num_iterations):
            coordinates = coordinates.detach()
            correlation = look_up(pyramid, coordinates, self.config.radius).to(dtype)
            hidden, change = self.update_block(hidden, context, correlation, (coordinates - start).to(dtype))
            coordinates = coordinates + change.to(torch.float32)
            yield Iteration(coordinates - start, hidden)

    def upsample(self, iteration: Iteration, first: Tensor) -> Tensor:
        """Turn the flow of an iteration, in cells, into pixels of the first picture's grid, without its padding."""
        stride, flow = self.config.stride, iteration.flow
        if self.config.has_convex_upsampling:
            # A quarter, so that the mask's gradient does not outweigh the others (authors' code).
            flow = convex_upsampling(flow, 0.25 * self.update_block.mask(iteration.hidden), stride)
        else:
            size = [stride * side for side in flow.shape[-2:]]
            flow = stride * F.interpolate(flow, size, mode="bilinear", align_corners=True)
        left, _, top, _ = self._padding(first)
        return flow[..., top : top + first.shape[-2], left : left + first.shape[-1]]

    def _pad(self, pictures: Tensor) -> Tensor:
        padding = self._padding(pictures)
        return F.pad(pictures, padding, mode="replicate") if any(padding) else pictures

    def _padding(self, pictures: Tensor) -> tuple[int, int, int, int]:
        """Pixels to add at the left, right, top and bottom."""
        stride, shortest = self.config.stride, self.config.min_side
        extra = [max(-(-side // stride) * stride, shortest) - side for side in pictures.shape[-2:]]
        return extra[1] // 2, extra[1] - extra[1] // 2, extra[0] // 2, extra[0] - extra[0] // 2


def convex_upsampling(flow: Tensor, mask: Tensor, stride: int) -> Tensor:
    """Each pixel's flow is a convex combination of the nine cells around it (section 3.3).

    flow: (B, 2, h, w) in cells; mask: (B, 9 * stride^2, h, w), before the softmax. Returns (B, 2, stride * h,
    stride * w) in pixels.
    """
    batch, _, height, width = flow.shape
    weights = mask.to(flow.dtype).reshape(batch, 1, 9, stride, stride, height, width).softmax(dim=2)
    neighbours = F.unfold(stride * flow, 3, padding=1).reshape(batch, 2, 9, 1, 1, height, width)
    pixels = (weights * neighbours).sum(dim=2)
    return pixels.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, stride * height, stride * width)


def _cell_coordinates(features: Tensor) -> Tensor:
    """Coordinates of each cell, x then y: (B, C, h, w) -> (B, 2, h, w)."""
    batch, _, height, width = features.shape
    y, x = (torch.arange(side, dtype=features.dtype, device=features.device) for side in (height, width))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"))
    return grid.expand(batch, -1, -1, -1)
