"""The structure of small windows of a picture, which light leaves as it is but for gain, offset and a slope."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

STRUCTURE_WINDOW = 5
"""Side of the windows of a small picture whose structure is compared, in pixels."""
_PLACES = np.arange(STRUCTURE_WINDOW, dtype=np.float32) - STRUCTURE_WINDOW // 2
SLOPE = np.tile(_PLACES / (STRUCTURE_WINDOW**2 * _PLACES.std()), (STRUCTURE_WINDOW, 1))
"""Kernel that measures a window's slope along x, in units of the standard deviation that it causes."""
MIN_TEXTURE = 2.0
"""Smallest standard deviation of such a window that has a structure, in grey levels."""
VANISHED_TEXTURE = 6.0
"""Standard deviation of a window, at both frames' contrast, that no change of light flattens unless it clips."""
CLIPPED = (5.0, 250.0)
"""Levels outside which light may have clipped a structure away."""
MIN_KEPT_STRUCTURE = 0.6
"""Smallest correlation of two windows of the same structure, whatever gain and offset lie between them. Measured: under
changes of light alone at most 2 % of a still lie below, where something moves usually more than 10 %."""
NUM_TONES = 16
"""Number of quantiles by which the tones of one frame are matched to those of another."""
MIN_REPLACED = 0.04
"""Smallest share of a picture whose windows must lose their structure for things to be replaced by others."""
MIN_LOST_IF_REPLACED = 0.5
"""Smallest ratio of these windows to those with a structure in both. Measured: 0.6 or more in dissolves, 0.5 or less
under most changes of light."""


class Structure(NamedTuple):
    """A small grey picture, and the window around each of its pixels, all (h, w)."""

    levels: NDArray[np.float32]
    """Grey levels."""
    mean: NDArray[np.float32]
    """Mean of the window."""
    deviation: NDArray[np.float32]
    """Standard deviation of the window."""
    slopes: tuple[NDArray[np.float32], NDArray[np.float32]]
    """Slope of the window along x and y, in units of the standard deviation that it causes."""
    unsloped_deviation: NDArray[np.float32]
    """Standard deviation of what is left of the window without its slope."""
    textured: NDArray[np.bool_]
    """Whether the window has a structure."""
    flat: NDArray[np.bool_]
    """Whether the window has none, and not because it was clipped."""
    tones: NDArray[np.float32]
    """(NUM_TONES,) quantiles of the means."""


def measure_structure(levels: NDArray[np.float32]) -> Structure:
    """Measure the windows of a (h, w) small picture."""
    mean = window_mean(levels)
    variance = window_mean(levels * levels) - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0))
    slopes = cv2.filter2D(levels, -1, SLOPE), cv2.filter2D(levels, -1, SLOPE.T)
    unsloped = np.sqrt(np.maximum(variance - sum(slope * slope for slope in slopes), 0))
    flat = (deviation < MIN_TEXTURE) & (mean > CLIPPED[0]) & (mean < CLIPPED[1])
    tones = np.quantile(mean, (np.arange(NUM_TONES) + 0.5) / NUM_TONES)
    return Structure(levels, mean, deviation, slopes, unsloped, deviation > MIN_TEXTURE, flat, tones)


def covariance_of(first: Structure, second: Structure) -> NDArray[np.float32]:
    """(h, w) covariance of the windows around each pixel."""
    return window_mean(first.levels * second.levels) - first.mean * second.mean


def find_lost(
    first: Structure, second: Structure, where: NDArray[np.bool_], covariance: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(h, w) the windows at `where` that have a structure in both pictures, besides their slope; and those whose
    structure is another one, or is found in one picture alone."""
    weaker = np.minimum(first.unsloped_deviation, second.unsloped_deviation)
    stronger = np.maximum(first.unsloped_deviation, second.unsloped_deviation)
    judged = where & (weaker > MIN_TEXTURE)
    rest = covariance - sum(one * other for one, other in zip(first.slopes, second.slopes, strict=True))
    lost = judged & (rest < MIN_KEPT_STRUCTURE * weaker * stronger)
    lost |= where & (weaker < MIN_TEXTURE) & (stronger > VANISHED_TEXTURE)
    return judged, lost


def is_replaced(first: NDArray[np.uint8], second: NDArray[np.uint8], where: NDArray[np.bool_]) -> bool:
    """Whether two small (h, w) grey pictures show different things at `where`, rather than one in different light."""
    structures = measure_structure(first.astype(np.float32)), measure_structure(second.astype(np.float32))
    judged, lost = find_lost(*structures, where, covariance_of(*structures))
    return np.count_nonzero(lost) > max(MIN_REPLACED * where.size, MIN_LOST_IF_REPLACED * np.count_nonzero(judged))


def window_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) mean of the window around each pixel."""
    return cv2.blur(values, (STRUCTURE_WINDOW, STRUCTURE_WINDOW))
