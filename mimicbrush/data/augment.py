"""Random geometry and colour for whole batches on any device (paper, section 3.3).

Source and reference are augmented independently; the source's mask and keypoints move with the source. All random
numbers are drawn on the CPU, in few large draws, so the same seed gives the same batch on every device. The host never
waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import kornia
import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.data.config import AugmentConfig
from mimicbrush.device import send
from mimicbrush.pictures.geometry import Placement

LUMA = torch.tensor([0.299, 0.587, 0.114])
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def random_homographies(num: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Draw (num, 3, 3) homographies from the square [-1, 1]² to the augmented picture, on the CPU; x right, y down."""
    chances = torch.rand(num, 4, generator=generator)
    probs = torch.tensor([config.flip_prob, config.rotation_prob, config.scale_prob, config.perspective_prob])
    flips, rotates, scales, tilts = (chances < probs).float().unbind(dim=1)
    draws = _signed(num, 13, generator)
    angle = math.radians(config.rotation) * draws[:, 0] * rotates
    change = config.scale * draws[:, 1] * scales
    rigid = torch.eye(3).repeat(num, 1, 1)
    rigid[:, 0, 0] = rigid[:, 1, 1] = torch.cos(angle) * (1 + change)
    rigid[:, 0, 1], rigid[:, 1, 0] = -torch.sin(angle) * (1 + change), torch.sin(angle) * (1 + change)
    # A smaller picture is placed at random in the square, a larger one is cropped at random.
    rigid[:, :2, 2] = change.abs()[:, None] * draws[:, 2:4]
    flip = torch.eye(3).repeat(num, 1, 1)
    flip[:, 0, 0] = 1 - 2 * flips
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]).expand(num, 4, 2)
    strength = config.perspective * (draws[:, 4] + 1) / 2 * tilts
    shifts = 2 * strength[:, None, None] * draws[:, 5:].view(num, 4, 2)
    return kornia.geometry.get_perspective_transform(corners, corners + shifts) @ rigid @ flip


def sampling_grid(homographies: Tensor, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Sampling grid (B, size, size, 2): x and y in [-1, 1] from which each pixel of the moved pictures is taken."""
    # Inverted on the CPU: a GPU's solver would make the host wait.
    backward = send(torch.linalg.inv(homographies), device)
    centres = (2 * torch.arange(size, device=device) + 1) / size - 1
    of_x, of_y, constant = backward[..., None].unbind(dim=2)
    rays = (of_x * centres)[:, :, None, :] + (of_y * centres + constant)[..., None]
    return rays[:, :2].div_(rays[:, 2:]).permute(0, 2, 3, 1)


def warp_images(images: Tensor, grid: Tensor, *, fill: float) -> Tensor:
    """Move pictures (B, C, S, S) by a sampling grid; pixels from outside become `fill` (1 is white)."""
    return F.grid_sample(images - fill, grid, align_corners=False).add_(fill)


def warp_areas(areas: Sequence[Placement], grid: Tensor) -> Tensor:
    """Move the areas of pictures in their squares: (B, 1, S, S) bool, True on pixels without padding or outside."""
    top, left, height, width = _edges(areas, grid.device)
    x, y = (((grid + 1) * grid.shape[1] - 1) / 2).unbind(dim=-1)
    # Rounding may place pixels of an unmoved picture slightly outside of it.
    slack = 1e-2
    inside_x = (x >= left - slack) & (x <= left + width - 1 + slack)
    return (inside_x & (y >= top - slack) & (y <= top + height - 1 + slack))[:, None]


def paint_areas(areas: Sequence[Placement], size: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw the areas of pictures in their squares: (B, 1, size, size) bool."""
    top, left, height, width = _edges(areas, device)
    pixel = torch.arange(size, device=device)
    rows, columns = pixel[:, None], pixel
    inside_x = (columns >= left) & (columns < left + width)
    return ((rows >= top) & (rows < top + height) & inside_x)[:, None]


def warp_points(points: Tensor, homographies: Tensor) -> Tensor:
    """Move points (B, K, 2), x and y in [0, 1], by the same homographies; NaN stays NaN."""
    moved = kornia.geometry.transform_points(send(homographies.to(points.dtype), points.device), points * 2 - 1)
    return (moved + 1) / 2


def random_colours(
    images: Tensor, config: AugmentConfig, generator: torch.Generator, *, area: Tensor | None = None
) -> Tensor:
    """Jitter brightness, contrast, saturation and hue of (B, 3, H, W) in [0, 1], for each picture independently.

    Contrast changes about the picture's mean over `area` (B, 1, H, W), as white padding would raise the mean. The four
    changes are one affine map of RGB, with hue rotated about the grey axis: kornia's way by HSV takes ten times longer.
    """
    num = len(images)
    touched = torch.rand(num, 1, generator=generator) < config.colour_prob
    ranges = torch.tensor([config.brightness, config.contrast, config.saturation, config.hue])
    draws = _signed(num, 4, generator) * ranges * touched
    brightness, contrast, saturation = (1 + draws[:, :3, None, None]).unbind(dim=1)
    grey = LUMA.expand(3, 3)
    colour = _hue_turns(draws[:, 3]) @ (saturation * torch.eye(3) + (1 - saturation) * grey)
    # Exactly the identity for pictures that do not change, without rounding errors of the products above.
    colour = torch.where(touched[..., None], colour, torch.eye(3)) * brightness * contrast
    colour, offset = (send(part.to(images.dtype), images.device) for part in (colour, (1 - contrast) * brightness))
    offset = offset * _mean_luma(images, area)
    return torch.baddbmm(offset, colour, images.flatten(2)).clamp_(0, 1).view_as(images)


def _mean_luma(images: Tensor, area: Tensor | None) -> Tensor:
    """Mean luma of each picture over its area: (B, 1, 1)."""
    pixels = images.flatten(2)
    weights = torch.ones_like(pixels[:, :1]) if area is None else area.flatten(2).to(images)
    means = pixels @ weights.mT / weights.sum(dim=2, keepdim=True)
    return (send(LUMA.to(images.dtype), images.device) @ means)[..., None]


def _hue_turns(turns: Tensor) -> Tensor:
    """Maps of RGB (B, 3, 3) that rotate the hue by (B,) turns and keep luma and saturation, as in YIQ."""
    angle = 2 * math.pi * turns
    rotation = torch.eye(3).repeat(len(turns), 1, 1)
    rotation[:, 1, 1] = rotation[:, 2, 2] = torch.cos(angle)
    rotation[:, 1, 2], rotation[:, 2, 1] = -torch.sin(angle), torch.sin(angle)
    return torch.linalg.inv(RGB_TO_YIQ) @ rotation @ RGB_TO_YIQ


def _edges(areas: Sequence[Placement], device: torch.device | str) -> Tensor:
    """Top, left, height and width of areas, each (B, 1, 1)."""
    return send(torch.tensor(areas).T, device)[..., None, None]


def _signed(num: int, columns: int, generator: torch.Generator) -> Tensor:
    """Draw (num, columns) uniform numbers in [-1, 1)."""
    return 2 * torch.rand(num, columns, generator=generator) - 1
