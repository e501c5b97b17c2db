"""Bilinear sampling of arrays between their pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float64]


def bilinear(image: NDArray[np.float32], x: Coordinates, y: Coordinates) -> NDArray[np.float32]:
    """Sample (h, w, C) at points in pixels, where the first pixel's centre is 0; beyond the edges they are repeated.

    x, y: (H, W). Returns (H, W, C). C must be 1, 3 or 4: for these OpenCV 5 is exact to 1e-5, so that objects that move
    by whole pixels keep their colours; for others, and in earlier versions, it rounds positions to 1/32 pixel.
    """
    points = x.astype(np.float32), y.astype(np.float32)
    sampled = cv2.remap(image, *points, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled if sampled.ndim == 3 else sampled[..., None]


def reflected(at: Coordinates, length: int) -> Coordinates:
    """Fold positions beyond an axis of `length` pixels back onto it, as in a mirror at its first and last pixel."""
    span = length - 1
    if at.min() >= 0 and at.max() <= span:
        return at
    return span - np.abs(span - np.mod(at, 2 * span))
