"""Exact bilinear sampling of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float64]


def bilinear(image: NDArray, x: Coordinates, y: Coordinates) -> NDArray[np.float32]:
    """Sample (h, w, C) at points in pixels, where the first pixel's centre is 0; beyond the edges they are repeated.

    x, y: any shape. Returns (*shape, C). Unlike OpenCV, which rounds positions to 1/32 pixel, it is exact, so that
    objects that move by whole pixels keep their colours.
    """
    height, width, channels = image.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(np.int64), width - 2), np.minimum(y.astype(np.int64), height - 2)
    right_share, low_share = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
    flat, first = image.reshape(-1, channels), top * width + left
    upper = _mixed(flat[first], flat[first + 1], right_share)
    return _mixed(upper, _mixed(flat[first + width], flat[first + width + 1], right_share), low_share)


def reflected(at: Coordinates, length: int) -> Coordinates:
    """Fold positions beyond an axis of `length` pixels back onto it, as in a mirror at its first and last pixel."""
    span = length - 1
    return span - np.abs(span - np.mod(at, 2 * span))


def _mixed(first: NDArray, second: NDArray, share: NDArray[np.float32]) -> NDArray[np.float32]:
    return first + share * (second - first)
