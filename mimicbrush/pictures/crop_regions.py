"""The parts of a picture that the network works on: all of it, or square crops around what the mask covers."""

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
"""Most regions of one picture edited separately: each costs as much as an edit, and more of them are specks."""

SMALL = 1 / 8
"""Share of the network's canvas; a mask whose longer side is shorter is worth a crop."""


class Region(NamedTuple):
    """A part of a picture that is repainted in one go."""

    rows: slice
    columns: slice
    mask: Tensor
    """(1, h, w), of these rows and columns: what is pasted. Other regions' pixels among them are hidden, too."""


def whole_picture(mask: Tensor) -> Region:
    """All of a picture as one region; mask: (1, H, W)."""
    return Region(slice(0, mask.shape[1]), slice(0, mask.shape[2]), mask)


def crop_regions(mask: Tensor, *, size: int, context: float, separate: bool) -> list[Region]:
    """Square crops of a picture around what its mask (1, H, W) covers; of an empty one, the whole picture.

    size: least pixels a side, so that nothing is scaled up that need not be; context: sides of a crop to the longer one
    of what is masked in it; a crop ends where the picture ends. separate: a crop for each connected part of the mask,
    or one for all. Raises UserError where the parts are too many.
    """
    parts = _connected_parts(mask) if separate else [mask]
    return [_crop(part, size, context) if (part > 0.5).any() else whole_picture(part) for part in parts]


def describe_small_mask(region: Region, *, size: int, cropped: bool, feather: Callable[[Tensor], Tensor]) -> str | None:
    """Advice on a mask that lets little of an edit be seen; None where there is none.

    size: pixels a side of the network's canvas; cropped: the region is a crop already; feather: how the geometry of
    the edit softens a mask (1, 1, h, w).
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
    """(1, H, W) each; corners connect."""
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
    """`side` pixels about the middle of `tight`, moved into [0, length), or all of them."""
    side = min(side, length)
    first = min(max(0, (tight.start + tight.stop - side) // 2), length - side)
    return slice(first, first + side)
