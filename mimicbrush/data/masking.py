"""Which part of the source is hidden (paper, sections 3.3 and 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """Grid masks over the source: cells that hold a matched keypoint are hidden more often."""

    min_cells: int = 3
    """Fewest cells along a side."""
    max_cells: int = 10
    """Most cells along a side; the number is drawn uniformly for each sample."""
    keypoint_cell_prob: float = 0.75
    """Chance to hide a cell with a keypoint that is matched in the reference."""
    other_cell_prob: float = 0.5
    """Chance to hide any other cell."""

    def __post_init__(self) -> None:
        if not 2 <= self.min_cells <= self.max_cells:
            raise ValueError(f"min_cells={self.min_cells}, max_cells={self.max_cells}: expected 2 <= min <= max")
        for name in ("keypoint_cell_prob", "other_cell_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a probability")


def grid_masks(keypoints: Tensor, size: int, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """One grid mask per sample: (B, 1, size, size), 1 where hidden; at least one cell hidden and one kept.

    keypoints: (B, K, 2), x and y in [0, 1] of the source; rows of NaN, and points outside, are none.
    """
    masks = []
    for points in keypoints:
        num_cells = int(torch.randint(config.min_cells, config.max_cells + 1, (), generator=generator))
        prob = torch.full((num_cells, num_cells), config.other_cell_prob)
        prob[_cells_with_points(points, num_cells)] = config.keypoint_cell_prob
        hidden = _force_both(torch.rand(prob.shape, generator=generator) < prob, generator)
        masks.append(_paint(hidden, size))
    return torch.stack(masks)[:, None]


def _cells_with_points(points: Tensor, num_cells: int) -> tuple[Tensor, Tensor]:
    """Row and column numbers of the cells that hold a point."""
    inside = ((points >= 0) & (points < 1)).all(dim=1)
    column, row = (points[inside] * num_cells).long().unbind(dim=1)
    return row, column


def _force_both(hidden: Tensor, generator: torch.Generator) -> Tensor:
    """Flip one cell where all or none are hidden."""
    if hidden.all() or not hidden.any():
        cell = int(torch.randint(hidden.numel(), (), generator=generator))
        hidden.view(-1)[cell] = ~hidden.view(-1)[cell]
    return hidden


def _paint(hidden: Tensor, size: int) -> Tensor:
    """(N, N) cells -> (size, size) pixels; N need not divide size, and no strip is left out."""
    cell_of_pixel = torch.arange(size) * hidden.shape[0] // size
    return hidden[cell_of_pixel[:, None], cell_of_pixel[None, :]].float()
