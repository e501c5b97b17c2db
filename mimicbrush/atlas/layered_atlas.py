"""The interface of layered atlases (Kasten et al. 2021), and the published networks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

Layer = Literal["foreground", "background"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

FIRST_COORDINATE: dict[Layer, float] = {"foreground": 0.0, "background": -1.0}
"""Smallest atlas coordinate of a layer, both for u and v; its coordinates span 1."""
PUBLISHED_SCALE = 0.8
"""Length on a published mapping's output, from -1 to 1, of a unit of normalised pixel coordinates."""


class ClipShape(NamedTuple):
    """Number of frames, height and width of a clip."""

    num_frames: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.num_frames} frames of {self.width} x {self.height} pixels"

    @property
    def half_side(self) -> float:
        """Pixels to a unit of the normalised coordinates x and y."""
        return max(self.height, self.width) / 2

    def normalise(self, x: Tensor, y: Tensor, frame: Tensor) -> Tensor:
        """Normalised coordinates (..., 3) of pixels; the longer side and the time reach from -1 to 1."""
        return torch.stack([x / self.half_side - 1, y / self.half_side - 1, frame / (self.num_frames / 2) - 1], dim=-1)

    def frame_points(self, frame: int, device: torch.device | str = "cpu") -> Tensor:
        """Normalised coordinates (H, W, 3) of all pixels of a frame."""
        y, x = torch.meshgrid(
            torch.arange(self.height, dtype=torch.float32, device=device),
            torch.arange(self.width, dtype=torch.float32, device=device),
            indexing="ij",
        )
        return self.normalise(x, y, torch.full_like(x, frame))


class LayeredAtlas(nn.Module, ABC):
    """A clip as two layers: each maps a pixel to a point of its atlas, and an opacity mixes their colours.

    Pixels are normalised coordinates (..., 3) of `ClipShape.normalise`. Atlas points (..., 2) are (u, v), to the right
    and down, in (0, 1) on the foreground's atlas and in (-1, 0) on the background's.
    """

    @abstractmethod
    def scale(self, layer: Layer) -> float:
        """Length on a mapping's output, from -1 to 1, of a unit of pixel coordinates that is not deformed."""

    undeformed: Mapping[Layer, Tensor] = {}
    """Jacobians (T, 2, 2) of a layer's map in each frame, in units of its scale, that count as no deformation; those
    of a layer that is not named are the identity."""

    @abstractmethod
    def atlas_points(self, layer: Layer, pixels: Tensor) -> Tensor:
        """Points (..., 2) of pixels on a layer's atlas."""

    @abstractmethod
    def colours(self, layer: Layer, points: Tensor) -> Tensor:
        """Colours (..., 3) in [0, 1] of points on a layer's atlas."""

    @abstractmethod
    def opacity(self, pixels: Tensor) -> Tensor:
        """Opacity (..., 1) of the foreground, in [0.001, 0.991]."""


class CoordinateMlp(nn.Module):
    """A perceptron of ReLUs over (encoded) coordinates, with a final tanh.

    num_frequencies: octaves of the positional encoding; 0: none. skips: layers that receive the encoding again.
    """

    def __init__(
        self,
        num_in: int,
        num_out: int,
        *,
        width: int,
        num_layers: int,
        num_frequencies: int = 0,
        skips: Collection[int] = (),
    ) -> None:
        super().__init__()
        num_encoded = 2 * num_in * num_frequencies or num_in
        ins = [num_encoded] + [width + num_encoded * (number in skips) for number in range(1, num_layers)]
        outs = [width] * (num_layers - 1) + [num_out]
        self.hidden = nn.ModuleList(map(nn.Linear, ins, outs))
        self.skips = frozenset(skips)
        self.num_frequencies = num_frequencies

    def forward(self, coordinates: Tensor) -> Tensor:
        encoded = encode_positions(coordinates, self.num_frequencies) if self.num_frequencies else coordinates
        features = encoded
        for number, linear in enumerate(self.hidden):
            if number:
                features = features.relu()
            if number in self.skips:
                # As published: the repeated encoding passes no gradient on to the coordinates.
                features = torch.cat([features, encoded.detach()], dim=-1)
            features = linear(features)
        return features.tanh()


class PublishedAtlas(LayeredAtlas):
    """The networks of the published method; the colours of both layers are one network's."""

    def __init__(
        self,
        *,
        foreground_mapping: CoordinateMlp,
        background_mapping: CoordinateMlp,
        atlas: CoordinateMlp,
        opacity_network: CoordinateMlp,
    ) -> None:
        super().__init__()
        self.mappings = nn.ModuleDict({"foreground": foreground_mapping, "background": background_mapping})
        self.atlas = atlas
        self.opacity_network = opacity_network

    def scale(self, layer: Layer) -> float:
        return PUBLISHED_SCALE

    def atlas_points(self, layer: Layer, pixels: Tensor) -> Tensor:
        return to_atlas_points(layer, self.mappings[layer](pixels))

    def colours(self, layer: Layer, points: Tensor) -> Tensor:
        return (self.atlas(points) + 1) / 2

    def opacity(self, pixels: Tensor) -> Tensor:
        return to_opacity((self.opacity_network(pixels) + 1) / 2)


def published_atlas(width: int = 256) -> PublishedAtlas:
    """Draw the published networks with random weights."""
    return PublishedAtlas(
        foreground_mapping=CoordinateMlp(3, 2, width=width, num_layers=6),
        background_mapping=CoordinateMlp(3, 2, width=width, num_layers=4),
        atlas=CoordinateMlp(2, 3, width=width, num_layers=8, num_frequencies=10, skips=(4, 7)),
        opacity_network=CoordinateMlp(3, 1, width=width, num_layers=8, num_frequencies=5),
    )


def encode_positions(coordinates: Tensor, num_frequencies: int) -> Tensor:
    """Sines of all coordinates, then their cosines, for one octave after the other: (..., C) -> (..., 2 C F)."""
    frequencies = math.pi * 2.0 ** torch.arange(num_frequencies, device=coordinates.device)
    angles = frequencies[:, None] * coordinates[..., None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def to_atlas_points(layer: Layer, mapped: Tensor) -> Tensor:
    """Move a mapping's output from (-1, 1) to the coordinates of a layer's atlas."""
    return mapped / 2 + (0.5 + FIRST_COORDINATE[layer])


def to_opacity(share: Tensor) -> Tensor:
    """Map [0, 1] to [0.001, 0.991], so that neither layer is ever without a gradient."""
    return 0.99 * share + 0.001


def from_opacity(opacity: Tensor) -> Tensor:
    """Undo `to_opacity`: a layer that is fully seen has 1, and a hidden one 0."""
    return ((opacity - 0.001) / 0.99).clamp(0, 1)
