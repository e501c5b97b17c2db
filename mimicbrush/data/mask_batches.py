"""Helpers for batches of masks (B, 1, S, S) on their device; `pictures.mask_geometry` takes one mask on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.device import send

COARSE = 128
"""Largest size in pixels at which strokes and rough outlines are computed, before they are enlarged smoothly; so they
look alike at all sizes."""


def per_sample(choice: Tensor, area: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1, 1), on the masks' device, for torch.where."""
    return send(choice, area.device)[:, None, None, None]


def bounds(mask: Tensor) -> tuple[Tensor, Tensor]:
    """First x and y of a mask (B, 1, S, S), and its width and height, in pixels: (B, 2) each."""
    lines = torch.stack([mask.any(dim=2), mask.any(dim=3)], dim=2)[:, 0].int()
    first = lines.argmax(dim=2)
    last = lines.shape[-1] - 1 - lines.flip(-1).argmax(dim=2)
    return first.float(), (last - first + 1).float()


def relative_pixels(mask: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of pixel centres, (B, S) each, relative to the mask's bounding box, where they lie in [0, 1]."""
    first, extent = bounds(mask)
    centres = torch.arange(mask.shape[-1], device=mask.device) + 0.5
    along_x, along_y = ((centres - first[..., None]) / extent[..., None]).unbind(dim=1)
    return along_x, along_y


def bounding_box(mask: Tensor) -> Tensor:
    """Fill the bounding box of each sample's mask (B, 1, S, S); empty for an empty mask."""
    along_x, along_y = ((along >= 0) & (along <= 1) for along in relative_pixels(mask))
    return (along_y[:, :, None] & along_x[:, None, :])[:, None] & mask.flatten(1).any(dim=1)[:, None, None, None]


def enlarge(field: Tensor, size: int) -> Tensor:
    """Resize (B, C, h, w) to (B, C, size, size), bilinearly."""
    return F.interpolate(field, (size, size), mode="bilinear", align_corners=False)
