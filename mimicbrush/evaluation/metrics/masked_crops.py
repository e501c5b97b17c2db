"""Parts of a picture that metrics look at. *Box*: the tight bounding box of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.evaluation.metrics.score import NotComputableError
from mimicbrush.pictures.mask_geometry import mask_box

WHITE = 255


def box(mask: NDArray[np.bool_], *, at_least: int = 1, needed_by: str = "the metric") -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box, each side grown to `at_least` pixels within the picture.

    Raises NotComputableError where the picture itself is smaller, in the name of `needed_by`.
    """
    height, width = mask.shape
    if min(height, width) < at_least:
        raise NotComputableError(f"the picture is {width}x{height}, {needed_by} needs {at_least} pixels")
    rows, columns = mask_box(mask)
    return _lengthen(rows, at_least, height), _lengthen(columns, at_least, width)


def subject_on_white(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (s, s, 3): the masked part alone, cropped to its box and centred on a white square.

    The paper removes the background and crops (appendix A); white and the square are ours, as it names neither.
    """
    crop = np.where(mask[..., None], picture, np.uint8(WHITE))[box(mask)]
    height, width = crop.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), WHITE, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = crop
    return square


def _lengthen(tight: slice, at_least: int, most: int) -> slice:
    """`tight` or, around its middle and within `most` pixels, `at_least` pixels."""
    length = max(tight.stop - tight.start, at_least)
    start = (tight.start + tight.stop) // 2 - length // 2
    start = min(max(0, start), most - length)
    return slice(start, start + length)
