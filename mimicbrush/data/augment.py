"""Random geometry and colour, on whole batches, on whatever device they are (paper, section 3.3).

Source and reference are augmented independently; what belongs to the source (its mask, its keypoints) moves with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import kornia
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Ranges of the augmentations; 0 switches one off. The paper gives no ranges."""

    flip_prob: float = 0.5
    """Chance of a left-right flip."""
    rotation: float = 30.0
    """Largest rotation, degrees."""
    scale: float = 0.4
    """Largest change of size: factors 1 - scale to 1 + scale."""
    perspective: float = 0.3
    """Largest shift of a corner, share of the side."""
    geometry_prob: float = 0.7
    """Chance that rotation, scale and perspective happen to a picture at all."""
    brightness: float = 0.4
    """Factors 1 - brightness to 1 + brightness; contrast and saturation likewise."""
    contrast: float = 0.4
    """See brightness."""
    saturation: float = 0.4
    """See brightness."""
    hue: float = 0.1
    """Largest turn of the hue, in turns."""
    colour_prob: float = 0.8
    """Chance that the colour changes happen to a picture at all."""

    def __post_init__(self) -> None:
        for name, limit in (("scale", 0.95), ("perspective", 0.45), ("hue", 0.5)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 to {limit}")


def random_homographies(num: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """(num, 3, 3): maps of the square [-1, 1]² onto the augmented picture, x right and y down."""
    angle = math.radians(config.rotation) * _uniform(num, generator)
    scale = 1 + config.scale * _uniform(num, generator)
    rigid = torch.zeros(num, 3, 3)
    rigid[:, 0, 0] = rigid[:, 1, 1] = torch.cos(angle) * scale
    rigid[:, 0, 1], rigid[:, 1, 0] = -torch.sin(angle) * scale, torch.sin(angle) * scale
    rigid[:, 2, 2] = 1
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]).expand(num, 4, 2)
    shifts = 2 * config.perspective * torch.stack([_uniform(num * 4, generator), _uniform(num * 4, generator)], dim=-1)
    perspective = kornia.geometry.get_perspective_transform(corners, corners + shifts.view(num, 4, 2))
    untouched = torch.rand(num, generator=generator) >= config.geometry_prob
    warp = torch.where(untouched[:, None, None], torch.eye(3), perspective @ rigid)
    flip = torch.eye(3).repeat(num, 1, 1)
    flip[:, 0, 0] = torch.where(torch.rand(num, generator=generator) < config.flip_prob, -1.0, 1.0)
    return warp @ flip


def warp_images(images: Tensor, homographies: Tensor, *, fill: float) -> Tensor:
    """Move pictures (B, C, H, W) by homographies (B, 3, 3); what comes from outside is `fill` (1 is white)."""
    mapping = homographies.to(images)
    moved = kornia.geometry.homography_warp(
        images - fill, torch.linalg.inv(mapping), images.shape[-2:], align_corners=False, normalized_coordinates=True
    )
    return moved + fill


def warp_points(points: Tensor, homographies: Tensor) -> Tensor:
    """Move points (B, K, 2), x and y in [0, 1], by the same homographies; NaN stays NaN."""
    return (kornia.geometry.transform_points(homographies.to(points), points * 2 - 1) + 1) / 2


def random_colours(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Jitter brightness, contrast, saturation and hue of (B, 3, H, W) in [0, 1], each picture on its own."""
    num = len(images)
    draw = {name: _uniform(num, generator).to(images) for name in ("brightness", "contrast", "saturation", "hue")}
    changed = kornia.enhance.adjust_brightness_accumulative(images, 1 + config.brightness * draw["brightness"])
    changed = kornia.enhance.adjust_contrast_with_mean_subtraction(changed, 1 + config.contrast * draw["contrast"])
    changed = kornia.enhance.adjust_saturation_with_gray_subtraction(
        changed, 1 + config.saturation * draw["saturation"]
    )
    changed = kornia.enhance.adjust_hue(changed, 2 * math.pi * config.hue * draw["hue"]).clamp(0, 1)
    touched = (torch.rand(num, generator=generator) < config.colour_prob).to(images.device)
    return torch.where(touched[:, None, None, None], changed, images)


def _uniform(num: int, generator: torch.Generator) -> Tensor:
    """(num,) in [-1, 1), drawn on the CPU: the same seed gives the same batch on every device."""
    return 2 * torch.rand(num, generator=generator) - 1
