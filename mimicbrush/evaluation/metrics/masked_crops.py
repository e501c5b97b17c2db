"""Crops of a picture that metrics compare: the mask's bounding box, and the masked part alone on white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.evaluation.metrics.score import NotComputableError
from mimicbrush.pictures.mask_geometry import mask_box

WHITE = 255


def box(mask: NDArray[np.bool_], *, at_least: int = 1, needed_by: str = "the metric") -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box, each side extended to `at_least` pixels within the picture.

    Raises NotComputableError if the picture itself is smaller; the message names `needed_by`.
    """
    height, width = mask.shape
    if min(height, width) < at_least:
        raise NotComputableError(f"the picture is {width}x{height}, {needed_by} needs {at_least} pixels")
    rows, columns = mask_box(mask)
    return _lengthen(rows, at_least, height), _lengthen(columns, at_least, width)


def subject_on_white(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Crop the masked part and centre it on a white square: (H, W, 3) -> (s, s, 3).

    The paper removes the background and crops (appendix A), but names neither its colour nor the crop's shape.
    """
    crop = np.where(mask[..., None], picture, np.uint8(WHITE))[box(mask)]
    height, width = crop.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), WHITE, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = crop
    return square


def _lengthen(tight: slice, at_least: int, most: int) -> slice:
    """Extend `tight` around its middle to `at_least` pixels, within `most` pixels."""
    length = max(tight.stop - tight.start, at_least)
    start = (tight.start + tight.stop) // 2 - length // 2
    start = min(max(0, start), most - length)
    return slice(start, start + length)
