"""The part of pictures inside of rows and columns at their edges that are uniform, which would agree in any two."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLED = 256
"""Number of pixels of a long row or column that are looked at, at least."""


def find_content(high: NDArray, low: NDArray, max_range: float) -> tuple[slice, slice]:
    """The rows and the columns of pictures without uniform ones at the edges; all of them if everything is uniform.

    high, low: (H, W) or (H, W, 3) largest and smallest level of each pixel over the pictures. max_range: largest range
    of the levels of a uniform row or column.
    """
    rows, columns = (np.flatnonzero(_ranges(high, low, axis) > max_range) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _ranges(high: NDArray, low: NDArray, axis: int) -> NDArray:
    """(N,) largest range of a channel along an axis, 1 for each row and 0 for each column; NumPy's `ptp` is slower."""
    step = max(1, high.shape[axis] // SAMPLED)
    high, low = (np.ascontiguousarray(levels[:, ::step] if axis else levels[::step]) for levels in (high, low))
    ranges = cv2.reduce(high, axis, cv2.REDUCE_MAX) - cv2.reduce(low, axis, cv2.REDUCE_MIN)
    return ranges.reshape(high.shape[1 - axis], -1).max(axis=1)
