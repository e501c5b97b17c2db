"""Name the object and the material of a picture whose object may be anywhere, with the judge."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.evaluation.metrics.judge_network import Judge, Named

SIDES = (0.55, 0.7, 0.87)
"""Sides of the squares, as fractions of the picture's: those of the judge's crops around the world's objects."""
STEP = 0.125
"""Distance of neighbouring squares, as a fraction of the picture's side."""
REACH = 0.125
"""How far squares may reach beyond the picture, whose edge is repeated there, as a fraction of its side."""
FINER = 0.5
"""Distance of the squares of the second look from the best one of the first, as a share of `STEP`."""
GROWTH = (0.9, 1.0, 1.1)
"""Sides of the squares of the second look, relative to the best one of the first."""


@torch.no_grad()
def name_anywhere(judge: Judge, picture: Tensor) -> Named:
    """Name what the judge is surest of in any square of a picture (3, S, S) in [0, 1].

    The judge knows crops around objects alone, and is sure of itself only where one fills the square. Squares all over
    the picture are compared first, then those near the best one.
    """
    square, _ = _surest(judge, picture, _all_squares())
    return _surest(judge, picture, _near(square))[1]


def _surest(judge: Judge, picture: Tensor, squares: Tensor) -> tuple[Tensor, Named]:
    """Return the square of which the judge is surest, and its names."""
    objects, materials = (logits.softmax(dim=1).max(dim=1) for logits in judge(_crop(picture, squares, judge.size)))
    best = int((objects.values * materials.values).argmax())
    names = Named(judge.objects[objects.indices[best]], judge.materials[materials.indices[best]])
    return squares[best], names


def _crop(picture: Tensor, squares: Tensor, size: int) -> Tensor:
    """Cut squares (N, 3) out and scale them: centre x, centre y and side, as fractions of the picture's side."""
    x, y, side = squares.T
    zeros = torch.zeros_like(x)
    # The grid's coordinates reach from -1 to 1.
    maps = torch.stack([side, zeros, 2 * x - 1, zeros, side, 2 * y - 1], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(maps, [len(squares), 3, size, size], align_corners=False)
    pictures = picture[None].expand(len(squares), -1, -1, -1)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _all_squares() -> Tensor:
    squares = []
    for side in SIDES:
        centres = torch.arange(side / 2 - REACH, 1 + REACH - side / 2 + 1e-6, STEP)
        grid = torch.cartesian_prod(centres, centres)
        squares.append(torch.cat([grid, torch.full((len(grid), 1), side)], dim=1))
    return torch.cat(squares)


def _near(square: Tensor) -> Tensor:
    moves = FINER * STEP * torch.tensor([-1.0, 0.0, 1.0])
    grid = torch.cartesian_prod(moves, moves, torch.tensor(GROWTH))
    return torch.cat([square[:2] + grid[:, :2], square[2] * grid[:, 2:]], dim=1)
