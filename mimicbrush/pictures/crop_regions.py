"""Regions of a picture that the network repaints: the whole picture, or square crops around the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.pictures.mask_geometry import longer_side, mask_box

MAX_REGIONS = 16
"""Largest number of regions edited separately: each costs as much as an edit, and more of them are specks."""

SMALL = 1 / 8
"""Share of the network's canvas: cropping is advised if the mask's longer side is shorter."""


class Region(NamedTuple):
    """A part of a picture that is repainted in one edit."""

    rows: slice
    columns: slice
    mask: Tensor
    """(1, h, w), the mask of these rows and columns; pixels of other regions within them are hidden, too."""


def whole_picture(mask: Tensor) -> Region:
    """Make one region of the whole picture. mask: (1, H, W)."""
    return Region(slice(0, mask.shape[1]), slice(0, mask.shape[2]), mask)


def crop_regions(mask: Tensor, *, size: int, context: float, separate: bool) -> list[Region]:
    """Make square crops of a picture around its mask (1, H, W); for an empty mask, the whole picture.

    size: least side of a crop in pixels, so that none is scaled up without need; context: side of a crop divided by the
    longer side of the mask in it; crops end at the border of the picture. separate: make one crop for each connected
    part of the mask instead of one for all. Raises UserError if there are too many parts.
    """
    parts = _connected_parts(mask) if separate else [mask]
    return [_crop(part, size, context) if (part > 0.5).any() else whole_picture(part) for part in parts]


def describe_small_mask(region: Region, *, size: int, cropped: bool, feather: Callable[[Tensor], Tensor]) -> str | None:
    """Advise on a mask that is too small or too thin for a visible edit; None if there is nothing to advise.

    size: side of the network's canvas in pixels; cropped: whether the region is a crop; feather: function that softens
    a mask (1, 1, h, w) in this edit.
    """
    height, width = region.mask.shape[1:]
    hit, longer = region.mask[0] > 0.5, max(height, width)
    if not hit.any():
        return None
    masked = longer_side(mask_box(hit))
    seen = masked * size / longer
    if not cropped and longer > size and seen < SMALL * size:
        return (
            f"the mask is {masked} pixels long in a picture of {width} x {height}, {seen:.0f} of the {size} that the"
            " network sees; crop_to_mask repaints it in full detail"
        )
    shown = float(feather(region.mask[None]).max())
    if shown < 0.5:
        return f"the mask is thinner than its soft edge, so at most {shown:.0%} of the edit shows; paint it wider"
    return None


def _connected_parts(mask: Tensor) -> list[Tensor]:
    """Split a mask into its connected parts, (1, H, W) each; diagonal neighbours are connected."""
    num, labels = cv2.connectedComponents((mask[0] > 0.5).numpy().astype(np.uint8), connectivity=8)
    if num - 1 > MAX_REGIONS:
        raise UserError(
            f"the mask has {num - 1} separate regions, expected at most {MAX_REGIONS}; remove specks, or edit them"
            " together"
        )
    found = torch.from_numpy(labels)[None]
    return [(found == number).to(mask.dtype) for number in range(1, num)] or [mask]


def _crop(mask: Tensor, size: int, context: float) -> Region:
    hit = mask[0] > 0.5
    box = mask_box(hit)
    side = max(size, round(context * longer_side(box)))
    rows, columns = (_window(tight, side, length) for tight, length in zip(box, hit.shape, strict=True))
    return Region(rows, columns, mask[:, rows, columns])


def _window(tight: slice, side: int, length: int) -> slice:
    """Center `side` pixels on `tight`, moved into [0, length), or take all pixels if there are fewer."""
    side = min(side, length)
    first = min(max(0, (tight.start + tight.stop - side) // 2), length - side)
    return slice(first, first + side)
