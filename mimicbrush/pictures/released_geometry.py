"""Letterbox, feather and paste back as the released benchmark script does, bit for bit, with OpenCV on 8 bits.

The functions correspond to those of `geometry`, which are exact. The release scales without antialiasing, blurs the
mask in 8 bits, and scales the canvas back before it removes the padding, which shifts pixels by up to one and mixes
padding into the border. Masks are 0 or 1 here; the script would also accept grey levels for its feather.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.pictures.conversion import to_channels, to_levels
from mimicbrush.pictures.geometry import FEATHER_PASSES, Placement, place


def letterbox(image: Tensor, size: int, *, fill: float) -> tuple[Tensor, Placement]:
    """Scale the longer side to `size` and pad the other to a centred square: (C, H, W) -> (C, size, size)."""
    box = place(*image.shape[-2:], size)
    canvas = image.new_full((len(image), size, size), fill)
    scaled = _to_channels(cv2.resize(to_levels(image), (box.width, box.height)))
    canvas[box.inside] = scaled
    return canvas, box


def unletterbox(canvas: Tensor, height: int, width: int) -> Tensor:
    """Undo `letterbox`: (N, C, size, size) -> (N, C, height, width)."""
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    scaled = torch.stack([_to_channels(cv2.resize(to_levels(picture), (side, side))) for picture in canvas])
    return scaled[..., top : top + height, left : left + width]


def feather(mask: Tensor) -> Tensor:
    """Soften the border of a mask (1, 1, H, W) by the same few pixels in pictures of all sizes."""
    alpha = to_levels(mask[0])
    for _ in range(FEATHER_PASSES):
        alpha = cv2.GaussianBlur(alpha, (3, 3), 0)
    return _to_channels(alpha)[None]


def paste_back(edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Composite edited (N, 3, H, W) over source (1, 3, H, W) through the feathered mask (1, 1, H, W)."""
    alpha = feather(mask)
    return torch.where(alpha > 0, alpha * edited + (1 - alpha) * source, source)


def _to_channels(levels: NDArray[np.uint8]) -> Tensor:
    """Convert levels (H, W, C), or (H, W) as OpenCV returns a single channel, to (C, H, W) in [0, 1]."""
    return to_channels(np.atleast_3d(levels))
