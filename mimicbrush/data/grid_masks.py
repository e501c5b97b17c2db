"""Masks of random grid cells over the source (paper, section 3.3).

The cells of a grid span the padded square, as in the paper, and are then cut to the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.data.config import MaskConfig
from mimicbrush.data.mask_batches import per_sample
from mimicbrush.device import send

NUM_DENSEST = 5
"""Number of hot cells in the released code."""


def grid_masks(keypoints: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """Hide random cells of a grid, hot cells more often: (B, 1, S, S) bool. Arguments as for `draw_masks`.

    Each sample has N x N cells, which span the padded square. N need not divide the square's side, and every pixel
    belongs to a cell; the release leaves a strip out. At least one cell of the picture is hidden, and one is visible.
    """
    num_cells, chance, tie = _draw_grids(len(area), config, generator, area.device)
    size, most = area.shape[-1], config.max_cells
    cell_of_line = torch.arange(size, device=area.device) * num_cells // size
    num_pixels = _count_pixels(area[:, 0], cell_of_line, most)
    num_points = _count_points(send(keypoints, area.device), num_cells, most)
    is_hot = num_points > 0 if config.hot_cells == "matched" else _densest_cells(num_points, num_pixels, tie)
    is_hidden = _keep_both(chance < _hiding_probs(is_hot, num_points, config), num_pixels, tie)
    return _halve_if_uniform(_paint_cells(is_hidden, cell_of_line) & area, area)


def _draw_grids(
    num: int, config: MaskConfig, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the number of cells along a side (B, 1), and for each cell two numbers in [0, 1) (B, most, most).

    The first decides whether a cell is hidden, the second breaks ties between cells.
    """
    most = config.max_cells
    num_cells = torch.randint(config.min_cells, most + 1, (num, 1), generator=generator)
    chance, tie = torch.rand(2, num, most, most, generator=generator)
    return send(num_cells, device), send(chance, device), send(tie, device)


def _count_pixels(area: Tensor, cell_of_line: Tensor, most: int) -> Tensor:
    """Count the picture's pixels in each cell: (B, most, most).

    area: (B, S, S) bool; cell_of_line: (B, S), the cell of each row, and of each column.
    """
    belongs = (cell_of_line[:, None] == torch.arange(most, device=area.device)[:, None]).float()
    return belongs @ area.float() @ belongs.mT


def _count_points(points: Tensor, num_cells: Tensor, most: int) -> Tensor:
    """Count the points (B, K, 2) in each cell: (B, most, most), rows first."""
    inside = ((points >= 0) & (points < 1)).all(dim=2)
    column, row = (points.nan_to_num() * num_cells[:, :, None]).long().unbind(dim=2)
    index = torch.where(inside, row * most + column, most * most)
    counts = points.new_zeros(len(points), most * most + 1).scatter_add_(1, index, inside.to(points))
    return counts[:, :-1].view(-1, most, most)


def _densest_cells(num_points: Tensor, num_pixels: Tensor, tie: Tensor) -> Tensor:
    """(B, most, most) bool: the NUM_DENSEST cells of each sample with the most points.

    Ties are broken at random, and cells that the picture does not reach come last.
    """
    density = num_points + tie / 2 + (num_pixels > 0)
    rank = density.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    return (rank < NUM_DENSEST).view_as(num_points)


def _hiding_probs(is_hot: Tensor, num_points: Tensor, config: MaskConfig) -> Tensor:
    """(B, most, most): the probability that each cell is hidden, equal for all cells of a sample with few points."""
    probs = torch.where(is_hot, config.keypoint_cell_prob, config.other_cell_prob)
    has_few = num_points.sum(dim=(1, 2), keepdim=True) < config.min_keypoints
    return torch.where(has_few, config.uniform_cell_prob, probs)


def _keep_both(is_hidden: Tensor, num_pixels: Tensor, tie: Tensor) -> Tensor:
    """Flip one cell of a sample whose picture is hidden as a whole, or not at all; all are (B, most, most).

    The cell is drawn among those that hold at least half as many of the picture's pixels as any other cell.
    """
    is_uniform = ((num_pixels * is_hidden).sum(dim=(1, 2)) == 0) | ((num_pixels * ~is_hidden).sum(dim=(1, 2)) == 0)
    is_large = num_pixels >= num_pixels.amax(dim=(1, 2), keepdim=True) / 2
    chosen = torch.where(is_large, tie, -1.0).flatten(1).argmax(dim=1)
    is_chosen = torch.arange(num_pixels[0].numel(), device=num_pixels.device) == chosen[:, None]
    return is_hidden ^ (is_chosen & is_uniform[:, None]).view_as(is_hidden)


def _paint_cells(is_hidden: Tensor, cell_of_line: Tensor) -> Tensor:
    """Draw cells (B, most, most) as masks (B, 1, S, S); cell_of_line: (B, S), the cell of each row and column."""
    sample = torch.arange(len(is_hidden), device=is_hidden.device)[:, None, None]
    return is_hidden[sample, cell_of_line[:, :, None], cell_of_line[:, None, :]][:, None]


def _halve_if_uniform(masks: Tensor, area: Tensor) -> Tensor:
    """Hide the left half of a picture that a mask hides as a whole or not at all, as it lies within one cell."""
    has_both = masks.flatten(1).any(dim=1) & (area & ~masks).flatten(1).any(dim=1)
    return torch.where(per_sample(has_both, area), masks, _left_half(area))


def _left_half(area: Tensor) -> Tensor:
    """The left columns of a picture, up to half of its pixels: (B, 1, S, S)."""
    num_pixels = area.sum(dim=2).cumsum(dim=-1)
    return (2 * num_pixels <= num_pixels[..., -1:])[:, :, None, :] & area
