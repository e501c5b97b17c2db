"""Random boxes and brush strokes over the source (paper, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.data.mask_batches import COARSE, bounds, enlarge, relative_pixels
from mimicbrush.device import send

BOX_SIDES = 0.4, 0.9
"""Smallest and largest side of a box mask, as a share of the picture's side (released code)."""
MAX_STROKES, NUM_VERTICES = 4, 6
"""Largest number of strokes of a brush mask, and number of vertices of a stroke."""
STROKE_WIDTHS = 0.06, 0.22
"""Smallest and largest width of a stroke, as a share of the square's side."""
STROKE_STEPS = 0.1, 0.4
"""Smallest and largest distance between a stroke's vertices, as a share of the picture's sides."""


def box_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one box per sample, (B, 1, S, S) bool, with sides in proportion to the picture's bounding box."""
    share, place = send(torch.rand(2, len(area), 2, generator=generator), area.device)
    share = BOX_SIDES[0] + (BOX_SIDES[1] - BOX_SIDES[0]) * share
    start = place * (1 - share)
    inside = [
        (along >= first[:, None]) & (along < (first + extent)[:, None])
        for along, first, extent in zip(relative_pixels(area), start.T, share.T, strict=True)
    ]
    return (inside[1][:, :, None] & inside[0][:, None, :])[:, None] & area


def brush_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """Draw 1 to MAX_STROKES thick polylines per sample, (B, 1, S, S) bool, each with NUM_VERTICES vertices."""
    num, size = len(area), area.shape[-1]
    num_strokes = torch.randint(1, MAX_STROKES + 1, (num, 1), generator=generator)
    start, step, width = torch.rand(num, MAX_STROKES, 2 * NUM_VERTICES + 1, generator=generator).split(
        [2, 2 * NUM_VERTICES - 2, 1], dim=2
    )
    length, turn = step.chunk(2, dim=2)
    length = STROKE_STEPS[0] + (STROKE_STEPS[1] - STROKE_STEPS[0]) * length
    # The first direction is uniform; at every further vertex it turns by up to a third of a circle.
    angle = torch.cat([turn[..., :1] * 2 * torch.pi, (2 * turn[..., 1:] - 1) * 2 * torch.pi / 3], dim=2).cumsum(dim=2)
    steps = length[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    vertices = torch.cat([start[:, :, None], start[:, :, None] + steps.cumsum(dim=2)], dim=2)
    # Vertices are reflected at the picture's border.
    vertices = 1 - (vertices.remainder(2) - 1).abs()
    radius = (STROKE_WIDTHS[0] + (STROKE_WIDTHS[1] - STROKE_WIDTHS[0]) * width[..., 0]) / 2
    radius[torch.arange(MAX_STROKES) >= num_strokes] = -1.0
    vertices, radius = send(vertices, area.device), send(radius, area.device)
    first, extent = bounds(area)
    vertices = (first[:, None, None] + vertices * extent[:, None, None]) / size
    distance = _distance_to_strokes(vertices, radius, min(COARSE, size))
    return (enlarge(distance[:, None], size) < 0) & area


def _distance_to_strokes(vertices: Tensor, radius: Tensor, size: int) -> Tensor:
    """Distance to the edge of the nearest stroke, (B, size, size), negative inside; the square's side is 1.

    vertices: (B, strokes, vertices, 2); radius: (B, strokes).
    """
    centres = (torch.arange(size, device=vertices.device) + 0.5) / size
    nearest = torch.full((len(vertices), size, size), torch.inf, device=vertices.device)
    for stroke, thickness in zip(vertices.unbind(1), radius.unbind(1), strict=True):
        for start, end in zip(stroke.unbind(1)[:-1], stroke.unbind(1)[1:], strict=True):
            (step_x, step_y), (x, y) = (end - start).T[..., None, None], start.T[..., None, None]
            to_x, to_y = centres - x, centres[:, None] - y
            along = (to_x * step_x + to_y * step_y) / (step_x**2 + step_y**2).clamp(min=1e-9)
            along = along.clamp(0, 1)
            distance = torch.hypot(to_x - along * step_x, to_y - along * step_y) - thickness[:, None, None]
            # Strokes that are not drawn have a negative radius.
            nearest = torch.where(thickness[:, None, None] > 0, torch.minimum(nearest, distance), nearest)
    return nearest
