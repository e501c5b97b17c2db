"""The smallest box around a mask, the sides of the picture that it touches, and its neighbourhood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def mask_box(mask: NDArray[np.bool_] | Tensor) -> tuple[slice, slice]:
    """Rows and columns of the smallest box that holds a mask (H, W) of bool, on the CPU.

    Raises ValueError where the mask is empty.
    """
    rows, columns = (np.flatnonzero(np.asarray(mask).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError("an empty mask has no box")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def longer_side(box: tuple[slice, slice]) -> int:
    """Pixels of the longer side of a box of rows and columns."""
    return max(side.stop - side.start for side in box)


def count_touched_sides(mask: NDArray[np.bool_]) -> int:
    """Sides of the picture, 0 to 4, that a mask (H, W) touches."""
    return sum(bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def grow(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Every pixel (H, W) at most `reach` rows and columns from one of the mask."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
