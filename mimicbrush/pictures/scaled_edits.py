"""Edit a copy of a large picture that is scaled down, and put what changed back into the full-size picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.pictures.mask_geometry import mask_box

MIN_SIDE = 2
"""Smallest side in pixels of a picture that is edited."""
VISIBLE = 0.5 / 255
"""Smallest change of a pixel that is seen in 8 bits."""


def fitting_size(height: int, width: int, max_pixels: float) -> tuple[int, int]:
    """The largest height and width of this shape with at most `max_pixels` pixels, and not larger than given.

    No side gets shorter than `MIN_SIDE`, so that a very narrow picture may keep more pixels.
    """
    scale = min(1.0, math.sqrt(max_pixels / (height * width)))
    return tuple(min(side, max(MIN_SIDE, int(side * scale))) for side in (height, width))


def put_back(edited: Tensor, small: Tensor, source: Tensor) -> Tensor:
    """Put what changed in a scaled-down picture into the full-size one, which keeps all other pixels bit for bit.

    edited, small: (3, h, w), after and before the edit; source: (3, H, W). Returns (3, H, W).
    """
    changed, result = (edited - small).abs().amax(dim=0) > VISIBLE, source.clone()
    if not changed.any():
        return result
    rows, columns = (
        slice(max(0, math.floor((part.start - 1) * full / short)), math.ceil((part.stop + 1) * full / short))
        for part, full, short in zip(mask_box(changed), source.shape[1:], small.shape[1:], strict=True)
    )
    part = result[:, rows, columns]
    # Only this part is scaled up, at the positions at which the whole picture would be.
    down, right = (
        (torch.arange(first.start, first.start + length) + 0.5) * 2 / full - 1
        for first, length, full in zip((rows, columns), part.shape[1:], source.shape[1:], strict=True)
    )
    places = torch.stack([right.expand(len(down), -1), down[:, None].expand(-1, len(right))], dim=-1)[None]
    layers = torch.cat([edited, changed[None].to(edited)])[None]
    large = F.grid_sample(layers, places.to(edited), padding_mode="border", align_corners=False)[0]
    part.copy_(torch.where(large[3:] > 0, torch.lerp(part, large[:3].clamp(0, 1), large[3:]), part))
    return result
