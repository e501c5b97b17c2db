"""Where the points of an atlas lie in one frame of the clip: the inverse of the frame's map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NUM_ITERATIONS = 6
"""Newton steps; maps are nearly affine, and the first guess is the best affine map."""
LARGEST_STEP = 0.1
"""Longest Newton step, as a share of the frame's longer side."""
TOLERANCE = 0.5
"""Largest distance in pixels of a found place from its point for which it counts as found."""


def places_in_frame(points: Tensor, frame_points: Tensor) -> tuple[Tensor, Tensor]:
    """Find where points (..., 2) of an atlas lie in a frame whose pixels are at `frame_points` (H, W, 2).

    Returns places (..., 2) in pixels, column and row, and whether each was found inside the frame (...). Between pixels
    the map is interpolated, so that places have fractions of pixels.
    """
    height, width = frame_points.shape[:2]
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=points.device),
        torch.arange(width, dtype=torch.float32, device=points.device),
        indexing="ij",
    )
    places = _affine_guess(points, frame_points, torch.stack([columns, rows], dim=-1))
    derivatives = [torch.gradient(frame_points, dim=dim)[0] for dim in (1, 0)]
    maps = torch.cat([frame_points, *derivatives], dim=-1).permute(2, 0, 1)[None]
    limit = LARGEST_STEP * max(height, width)
    last = places.new_tensor((width - 1, height - 1))
    for iteration in range(NUM_ITERATIONS + 1):
        inside = torch.minimum(places.clamp(min=0), last)
        sampled = F.grid_sample(
            maps, (2 * inside / last.clamp(min=1) - 1).reshape(1, 1, -1, 2), padding_mode="border", align_corners=True
        )
        values = sampled[0, :, 0].T.reshape(*points.shape[:-1], 6)
        beyond = places - inside
        along, down = values[..., 2:4], values[..., 4:6]
        # Beyond the frame, the map is continued along its border's derivative.
        error = points - values[..., :2] - along * beyond[..., :1] - down * beyond[..., 1:]
        step = _solve(along, down, error)
        if iteration < NUM_ITERATIONS:
            places = places + step.clamp(-limit, limit)
    found = (step.norm(dim=-1) < TOLERANCE) & (places >= -TOLERANCE).all(-1) & (places <= last + TOLERANCE).all(-1)
    return places, found


def sample_frame(picture: Tensor, places: Tensor, *, mode: str = "bilinear") -> Tensor:
    """Sample a picture (1, C, H, W) at places (H', W', 2) in pixels, column and row: (1, C, H', W')."""
    last = places.new_tensor((picture.shape[-1] - 1, picture.shape[-2] - 1)).clamp(min=1)
    return F.grid_sample(picture, (2 * places / last - 1)[None], mode=mode, padding_mode="border", align_corners=True)


def _affine_guess(points: Tensor, frame_points: Tensor, pixels: Tensor) -> Tensor:
    """Places by the affine map that fits all pixels of the frame best."""
    known = frame_points.reshape(-1, 2)
    ones = torch.ones_like(known[:, :1])
    fitted = torch.linalg.lstsq(torch.cat([known, ones], dim=1), pixels.reshape(-1, 2)).solution
    return points @ fitted[:2] + fitted[2]


def _solve(along: Tensor, down: Tensor, error: Tensor) -> Tensor:
    """Solve J step = error, where J has the columns `along` and `down`; zero where J cannot be inverted."""
    determinant = along[..., 0] * down[..., 1] - along[..., 1] * down[..., 0]
    invertible = determinant.abs() > 1e-9
    step = (
        torch.stack(
            [
                error[..., 0] * down[..., 1] - error[..., 1] * down[..., 0],
                along[..., 0] * error[..., 1] - along[..., 1] * error[..., 0],
            ],
            dim=-1,
        )
        / torch.where(invertible, determinant, 1.0)[..., None]
    )
    # A fold has no place: a step of infinity is never within the tolerance.
    return torch.where(invertible[..., None], step, float("inf"))
