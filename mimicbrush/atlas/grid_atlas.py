"""A layered atlas that trains in minutes: textures and opacities are dense grids, motions are affine maps of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mimicbrush.atlas.layered_atlas import (
    FIRST_COORDINATE,
    LAYERS,
    ClipShape,
    Layer,
    LayeredAtlas,
    to_atlas_points,
    to_opacity,
)

NUM_LEVELS = 4
"""Grids of a texture or of the opacity, each with half the sides of the one before; their values are added."""
TEXTURE_SHARE = 1.3
"""Texture pixels to a pixel of a frame, along a side."""
HIDDEN = 32
"""Channels of the network that bends the affine maps."""
MARGIN = 0.9
"""Mapped coordinates beyond this are squeezed into the rest of (-1, 1)."""


class GridAtlasSizes(NamedTuple):
    """Sizes of a grid atlas."""

    clip: ClipShape
    scales: tuple[float, float]
    """Scales of the layers' maps, the foreground's first."""

    @property
    def texture_side(self) -> int:
        return round(TEXTURE_SHARE * 2 * self.clip.half_side / min(self.scales))


class FrameMapping(nn.Module):
    """Maps pixels (N, 3) to (N, 2) in (-1, 1): an affine map for each frame, bent by a small network."""

    def __init__(self, clip: ClipShape, scale: float) -> None:
        super().__init__()
        self.clip, self.scale = clip, scale
        self.affine = nn.Parameter(torch.eye(2, 3).repeat(clip.num_frames, 1, 1))
        self.bend = nn.Sequential(
            nn.Linear(3, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2)
        )
        nn.init.zeros_(self.bend[-1].weight)
        nn.init.zeros_(self.bend[-1].bias)

    def forward(self, pixels: Tensor) -> Tensor:
        frames = ((pixels[:, 2] + 1) * (self.clip.num_frames / 2)).round().long().clamp(0, self.clip.num_frames - 1)
        affine = self.affine[frames]
        moved = torch.einsum("nij,nj->ni", affine[:, :, :2], pixels[:, :2]) + affine[:, :, 2]
        mapped = self.scale * (moved + self.bend(pixels))
        beyond = (mapped.abs() - MARGIN).clamp(min=0) / (1 - MARGIN)
        squeezed = MARGIN + (1 - MARGIN) * beyond.tanh()
        return torch.where(beyond > 0, mapped.sign() * squeezed, mapped)


class GridPyramid(nn.Module):
    """Sums of grids of several finenesses over [0, 1] to the power of 2 or 3, sampled linearly.

    sides: of the finest grid, in the order of tensors (height and width, or frames, height and width); coarser ones
    keep the number of frames.
    """

    def __init__(self, num_channels: int, sides: Sequence[int]) -> None:
        super().__init__()
        *frames, height, width = sides
        self.grids = nn.ParameterList(
            nn.Parameter(torch.zeros(1, num_channels, *frames, max(2, height >> level), max(2, width >> level)))
            for level in range(NUM_LEVELS)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Values (N, C) at points (N, 2 or 3) in [0, 1]: x, y, and the frame."""
        num_axes = points.shape[-1]
        places = (2 * points - 1).reshape(1, *[1] * (num_axes - 1), len(points), num_axes)
        sampled = sum(F.grid_sample(grid, places, padding_mode="border", align_corners=True) for grid in self.grids)
        return sampled.reshape(sampled.shape[1], -1).T


class GridAtlas(LayeredAtlas):
    """A layered atlas of grids for one clip."""

    def __init__(self, sizes: GridAtlasSizes) -> None:
        super().__init__()
        self.sizes = sizes
        clip, side = sizes.clip, sizes.texture_side
        self.mappings = nn.ModuleDict(
            {layer: FrameMapping(clip, scale) for layer, scale in zip(LAYERS, sizes.scales, strict=True)}
        )
        self.textures = nn.ModuleDict({layer: GridPyramid(3, (side, side)) for layer in LAYERS})
        self.opacities = GridPyramid(1, clip)
        self.undeformed: dict[Layer, Tensor] = {}

    def scale(self, layer: Layer) -> float:
        return self.sizes.scales[LAYERS.index(layer)]

    def atlas_points(self, layer: Layer, pixels: Tensor) -> Tensor:
        return to_atlas_points(layer, self.mappings[layer](pixels))

    def colours(self, layer: Layer, points: Tensor) -> Tensor:
        return self.textures[layer](points - FIRST_COORDINATE[layer]).sigmoid()

    def opacity(self, pixels: Tensor) -> Tensor:
        clip = self.sizes.clip
        sides = pixels.new_tensor((clip.half_side, clip.half_side, clip.num_frames / 2))
        last = pixels.new_tensor((clip.width - 1, clip.height - 1, max(clip.num_frames - 1, 1)))
        return to_opacity(self.opacities((pixels + 1) * sides / last).sigmoid())
