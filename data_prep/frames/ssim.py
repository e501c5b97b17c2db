"""Structural similarity (SSIM) of grey frames: scikit-image's values in a tenth of its time.

Sums over windows of 8-bit levels are integers that fit 32 bits, so no precision is lost where squares are subtracted.
Many pairs share a frame: whatever depends on one frame alone is computed once.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.config import SSIM_WINDOW

_N = SSIM_WINDOW**2
_C1 = _N**2 * (0.01 * 255) ** 2
_C2 = _N * (_N - 1) * (0.03 * 255) ** 2
SPREAD_OF_ONE_LEVEL = _N * (_N - 1)
"""`Moments.window_spread` of a window with a variance of 1."""


class Moments(NamedTuple):
    """A grey frame and sums over the window around each pixel, all (H, W)."""

    grey: NDArray[np.uint8]
    window_sum: NDArray[np.int32]
    """Sum of the window's grey levels."""
    squared_sum: NDArray[np.int32]
    """Square of that sum."""
    window_spread: NDArray[np.int32]
    """Sample variance of the window's N pixels, times N (N - 1)."""


def moments(grey: NDArray[np.uint8]) -> Moments:
    """Compute the window sums of a (H, W) grey frame; raises ValueError if a side is shorter than the window."""
    if min(grey.shape) < SSIM_WINDOW:
        raise ValueError(f"a frame is {grey.shape}; expected sides of {SSIM_WINDOW} or more")
    window_sum = _sum_windows(grey)
    squared_sum = window_sum * window_sum
    return Moments(grey, window_sum, squared_sum, _N * _sum_windows(_multiply(grey, grey)) - squared_sum)


def similarity_map(first: Moments, second: Moments) -> NDArray[np.float32]:
    """(H - 6, W - 6) local SSIM of the windows that lie inside; raises ValueError if the shapes differ."""
    if first.grey.shape != second.grey.shape:
        raise ValueError(f"frames are {first.grey.shape} and {second.grey.shape}; expected one shape")
    product = first.window_sum * second.window_sum
    covariance = _sum_windows(_multiply(first.grey, second.grey))
    covariance *= _N
    covariance -= product
    covariance *= 2
    product *= 2
    similarity = _float(product, _C1)
    similarity *= _float(covariance, _C2)
    # Reusing the two arrays keeps them in the processor's cache.
    divisor = _float(np.add(first.squared_sum, second.squared_sum, out=product), _C1)
    divisor *= _float(np.add(first.window_spread, second.window_spread, out=covariance), _C2)
    similarity /= divisor
    border = SSIM_WINDOW // 2
    return similarity[border:-border, border:-border]


def structural_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean SSIM of two (H, W) grey frames, in [-1, 1], equal to scikit-image's (uniform 7 x 7 window) within 1e-6.

    Raises ValueError if the shapes differ or a side is shorter than the window.
    """
    return float(similarity_map(moments(first), moments(second)).mean(dtype=np.float64))


def _float(whole: NDArray[np.int32], constant: float) -> NDArray[np.float32]:
    values = whole.astype(np.float32)
    values += constant
    return values


def _multiply(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.multiply(first, second, dtype=np.uint16)


def _sum_windows(values: NDArray) -> NDArray[np.int32]:
    return cv2.boxFilter(values, cv2.CV_32S, (SSIM_WINDOW, SSIM_WINDOW), normalize=False)
