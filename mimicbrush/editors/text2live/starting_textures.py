"""Random textures of two colours, from which a layer may start: sums of plane waves, cut at a level."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

NUM_WAVES = (0, 1, 2, 3, 8)
"""Numbers of waves that are drawn from: a plain colour, stripes, squares or dots, dots in hexagons, and spots."""
MIN_FREQUENCY, MAX_FREQUENCY = 1.5, 12.0
"""Waves to the side of the picture. They are drawn from the next two numbers, and may vary within these."""
FIRST_FREQUENCIES = (2.0, 10.0)
LARGEST_CUT = 0.8
"""Largest level at which the sum is cut; 0 gives both colours equal areas."""
SHARPNESS = 8.0
"""Slope of the border between the colours."""
GREY_SHARE = 0.25
"""Share of the colours that are grey."""


class Textures(NamedTuple):
    """Parameters of N textures. Each has two colours, and a direction across which its waves may be bent."""

    num_waves: Tensor
    """(N,)"""
    colours: Tensor
    """(N, 2, 3), hue, saturation and value in [0, 1]."""
    angles: Tensor
    """(N, 8), directions of the waves in radians."""
    phases: Tensor
    """(N, 8), in radians."""
    frequency: Tensor
    """(N, 1)"""
    cut: Tensor
    """(N, 1)"""
    bend: Tensor
    """(N, 1), how far the waves are bent, in half wave lengths."""
    bend_frequency: Tensor
    """(N, 1)"""
    bend_phase: Tensor
    """(N, 1)"""

    def select(self, numbers: Tensor) -> Textures:
        return Textures(*(each[numbers] for each in self))


def join_textures(first: Textures, second: Textures) -> Textures:
    """All textures of both."""
    return Textures(*(torch.cat(pair) for pair in zip(first, second, strict=True)))


def draw_textures(num: int, generator: torch.Generator) -> Textures:
    """Draw `num` textures on the CPU."""

    def uniform(*size: int) -> Tensor:
        return torch.rand(num, *size, generator=generator)

    most = max(NUM_WAVES)
    num_waves = torch.tensor(NUM_WAVES)[torch.randint(len(NUM_WAVES), (num,), generator=generator)]
    hue, saturation, value = uniform(2), uniform(2) ** 0.7, uniform(2) ** 0.7
    saturation = torch.where(uniform(2) < GREY_SHARE, 0, saturation)
    lowest, highest = FIRST_FREQUENCIES
    apart = math.pi / num_waves.clamp(min=1)[:, None]
    return Textures(
        num_waves=num_waves,
        colours=torch.stack([hue, saturation, value], dim=-1),
        angles=uniform(1) * math.pi + torch.arange(most) * apart,
        phases=uniform(most) * 2 * math.pi,
        frequency=lowest * (highest / lowest) ** uniform(1),
        cut=(2 * uniform(1) - 1) * LARGEST_CUT,
        bend=torch.where(uniform(1) < 0.5, 0, 1.5 * uniform(1)),
        bend_frequency=1 + 2 * uniform(1),
        bend_phase=uniform(1) * 2 * math.pi,
    )


def vary_textures(textures: Textures, amount: float, generator: torch.Generator) -> Textures:
    """Change about half of the parameters of each texture by a random part of `amount`."""

    def change(like: Tensor) -> Tensor:
        chosen = torch.rand(like.shape, generator=generator) < 0.5
        return amount * chosen * torch.randn(like.shape, generator=generator)

    hue, saturation, value = (textures.colours + change(textures.colours) * torch.tensor([0.25, 0.6, 0.6])).unbind(-1)
    return Textures(
        num_waves=textures.num_waves,
        colours=torch.stack([hue % 1, saturation.clamp(0, 1), value.clamp(0, 1)], dim=-1),
        angles=textures.angles + change(textures.frequency),
        phases=textures.phases + 2 * change(textures.phases),
        frequency=(textures.frequency * change(textures.frequency).exp()).clamp(MIN_FREQUENCY, MAX_FREQUENCY),
        cut=textures.cut + change(textures.cut),
        bend=torch.where(textures.bend > 0, (textures.bend + change(textures.bend)).clamp(min=0), 0),
        bend_frequency=textures.bend_frequency * change(textures.bend_frequency).exp(),
        bend_phase=textures.bend_phase,
    )


def second_shares(textures: Textures, side: int) -> Tensor:
    """Share of the second colour in every pixel of square pictures, (N, 1, side, side); half where there are no waves.

    The middle of the first pixel lies at half a pixel, and the side has length 1.
    """
    places = (torch.arange(side).to(textures.cut) + 0.5) / side
    y, x = (each.reshape(1, -1) for each in torch.meshgrid(places, places, indexing="ij"))
    direction = textures.angles[:, :1]
    along, across = x * direction.cos() + y * direction.sin(), y * direction.cos() - x * direction.sin()
    bends = torch.sin(2 * math.pi * textures.bend_frequency * across + textures.bend_phase)
    along = along + textures.bend / (2 * textures.frequency) * bends
    total = torch.zeros_like(along)
    for number in range(max(NUM_WAVES)):
        turn = textures.angles[:, number, None] - direction
        place = along * turn.cos() + across * turn.sin()
        wave = torch.sin(2 * math.pi * textures.frequency * place + textures.phases[:, number, None])
        total = total + wave * (number < textures.num_waves)[:, None]
    total = total / textures.num_waves.clamp(min=1).sqrt()[:, None]
    shares = torch.sigmoid(SHARPNESS * (total - textures.cut))
    return torch.where(textures.num_waves[:, None] == 0, 0.5, shares).reshape(-1, 1, side, side)


def two_colours(textures: Textures) -> Tensor:
    """The colours as (N, 2, 3) in [0, 1], red, green and blue; both are the first where there are no waves."""
    hue, saturation, value = textures.colours.split(1, dim=-1)
    sixths = (torch.tensor([5.0, 3.0, 1.0]).to(hue) + 6 * hue) % 6
    colours = value - value * saturation * torch.minimum(sixths, 4 - sixths).clamp(0, 1)
    return torch.where(textures.num_waves[:, None, None] == 0, colours[:, :1], colours)
