"""Geometry of masks: the smallest box around a mask, the sides of the picture that it touches, and dilation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


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
