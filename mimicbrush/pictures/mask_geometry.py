"""Geometry of masks: the smallest box, the sides of the picture that it touches, dilation, and stray grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.pictures.conversion import is_masked

if TYPE_CHECKING:
    from torch import Tensor

GREY_LEVELS = range(16, 240)
"""Levels that are neither black nor white; lossy formats change black and white by a few levels."""
BORDER_WIDTH = 3
"""Pixels on each side of a mask's border that antialiasing may leave grey."""
MAX_GREY = 0.001
"""Largest share of a mask's pixels that may be grey away from its border."""


def mask_box(mask: NDArray[np.bool_] | Tensor) -> tuple[slice, slice]:
    """Find the rows and columns of the smallest box around a mask (H, W) of bool, on the CPU.

    Raises ValueError if the mask is empty.
    """
    rows, columns = (np.flatnonzero(np.asarray(mask).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError("an empty mask has no box")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def longer_side(box: tuple[slice, slice]) -> int:
    """Length of the longer side of a box, in pixels."""
    return max(side.stop - side.start for side in box)


def count_touched_sides(mask: NDArray[np.bool_]) -> int:
    """Count the sides of the picture, 0 to 4, that a mask (H, W) touches."""
    return sum(bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def grow(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Dilate a mask (H, W) by a square that reaches `reach` pixels in each direction."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def grey_share(levels: NDArray[np.uint8]) -> float:
    """Share of a mask's pixels, (H, W) in 0..255, that are grey although they lie away from its border."""
    grey = (levels >= GREY_LEVELS.start) & (levels < GREY_LEVELS.stop)
    mask = is_masked(levels)
    border = grow(mask, BORDER_WIDTH) & grow(~mask, BORDER_WIDTH)
    return float((grey & ~border).mean())
