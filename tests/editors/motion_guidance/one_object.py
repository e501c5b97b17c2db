"""Pictures of one object at each place of a grid."""

from __future__ import annotations

import torch
from torch import Tensor

SIZE = 64
OBJECT = 16
"""Side of the object in pixels."""
GRID = 3
"""Pixels between neighbouring places."""


def draw_places(seed: int) -> tuple[Tensor, Tensor]:
    """A smooth background with a textured object at each place: pictures (N, 3, SIZE, SIZE), places (N, 2) as x, y."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 5, 5, generator=generator)
    background, texture = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear", align_corners=True)
    textured = texture[:, :OBJECT, :OBJECT].clone()
    textured[:, ::4] = 1 - textured[:, ::4]
    textured[:, :, :5] = torch.rand(3, 1, 1, generator=generator)
    places = [(x, y) for y in range(0, SIZE - OBJECT + 1, GRID) for x in range(0, SIZE - OBJECT + 1, GRID)]
    pictures = background.repeat(len(places), 1, 1, 1)
    for picture, (x, y) in zip(pictures, places, strict=True):
        picture[:, y : y + OBJECT, x : x + OBJECT] = textured
    return pictures, torch.tensor(places).float()
