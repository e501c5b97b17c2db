"""Shadows with hard edges that move over a still picture, as those of leaves and blinds.

A pixel on which such shadows fall has two levels, lit and shaded, in all frames of a shot, and their ratio is the same
everywhere. So the frames of a shot together give the picture in full light, and each frame is that picture under a map
of light. Things that move show other levels, with another structure than the picture has there; at the edges of shadows
this happens along thin lines alone. A juggler under the same shadows fills a patch with it, although two lights explain
nearly all of what changes between two frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import shrink
from data_prep.frames.structure import Structure, covariance_of, find_lost, measure_structure

SHADOW_SIZE = 128
"""Short side in pixels of the pictures in which shadows are looked for."""
MIN_FRAMES_TO_SKIP = 6
"""Number of frames from which the brightest level of each pixel is left out, as a thing may have passed there."""
MIN_SHADE = 8.0
"""Smallest difference in grey levels between the picture in full light and what may be shaded."""
MIN_LIT = 30.0
"""Smallest level in full light of pixels by which the ratio of the two lights is measured."""
BIN, NUM_BINS = 0.02, 125
"""Width, and number of the bins of the logarithm of that ratio."""
SMOOTHING = 7
"""Number of bins over which their counts are summed to find the most frequent ratio."""
AGREEMENT = 0.2
"""Largest distance of such a logarithm from the most frequent one, as a share of it."""
MIN_AGREEING = 0.42
"""Smallest share of the shaded pixels whose ratio agrees. Measured: 0.44 to 0.77 under hard shadows, with or without
things that move, at most 0.29 in ten real clips."""
DEEP_QUANTILE, DEEP_SHARE = 0.97, 0.6
"""Quantile of the depths, and the share of it from which the most frequent one is taken for that of full shade if most
of the shaded pixels lie at the edges of shadows that move little."""
MAX_DEPTH, MAX_DEEPER = 1.35, 0.005
"""Multiple of this depth beyond which hardly any pixel lies, and largest share of those that do."""
MIN_DEEP = 0.2
"""Smallest share of the shaded pixels whose ratio agrees then."""
MIN_SHADED_SHARE = 0.05
"""Smallest share of the pixels of all frames that are shaded."""
MIN_KEPT = 0.05
"""Smallest share of the shaded pixels around which the structure is that of the picture in full light."""
LEVEL_SHARE, LEVEL_MARGIN = 0.2, 6.0
"""Largest distance of a level from the lit or the shaded one, as a share of the difference between these two and in
grey levels; the larger limit holds."""
LIT_SHARE, LIT_MARGIN = 0.1, 8.0
"""Further limit on the distance from the lit level, as a share of this level and in grey levels, of which the larger
holds; the smaller of this limit and the one above applies."""
SPECK = np.ones((3, 3), np.uint8)
"""Kernel of the opening that removes lit and shaded areas too small to lie beside the edge of a shadow."""
EDGE = np.ones((7, 7), np.uint8)
"""Kernel of the dilation of lit and of shaded areas; the edge of a shadow lies where both dilated areas overlap."""
DARKER = 1.5
"""Multiple of that distance from which a pixel is darker than any shadow."""
PATCH = 9
"""Side in pixels of the windows in which unexplained pixels are counted."""
MIN_IN_PATCH = 0.4
"""Smallest share of such a window that is unexplained where something moves; the edge of a shadow is a thin line."""
MAX_UNEXPLAINED = 0.018
"""Largest share of the picture that such patches fill in either of two frames that differ in shadows alone. Measured:
at most that in 45 of 50 stills under shadows; 0.023 or more in all pairs of 35 moving clips under the same ones, less
in a bottle of glass, and in some pairs of two plain discs and of signing hands."""
MAX_TYPICAL = 0.0155
"""Largest share of them in the median frame of a shot of which most frames show the picture alone."""
MAX_UNEXPLAINED_IF_STILL = 0.033
"""The same as `MAX_UNEXPLAINED` in such a shot, in which the edges of shadows cause more of them in a few frames.
Measured: at most that in 48 of the 50, 0.05 or more where a person appears."""


class MovingShadows:
    """Tells which frames of a shot differ in moving shadows alone."""

    def __init__(self, greys: Sequence[NDArray[np.uint8]]) -> None:
        """greys: the (H, W) grey frames of a shot, all of one size."""
        self._unexplained = _find_unexplained(greys)
        typical = float(np.median([patches.mean() for patches in self._unexplained])) if self._unexplained else 1.0
        self._limit = MAX_UNEXPLAINED_IF_STILL if typical <= MAX_TYPICAL else MAX_UNEXPLAINED

    def explain(self, first: int, second: int) -> bool:
        """Whether the frames of two indices show one still picture, on which shadows with hard edges fall."""
        if not self._unexplained:
            return False
        return bool((self._unexplained[first] | self._unexplained[second]).mean() <= self._limit)


def _find_unexplained(greys: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.bool_]]:
    """Mark in each frame of a shot (h, w) what moving shadows do not explain; empty if no such shadows are found."""
    levels = np.stack([shrink(grey, SHADOW_SIZE) for grey in greys]).astype(np.float32)
    lights = _fit_lights(levels)
    if lights is None:
        return []
    picture = measure_structure(lights.lit)
    num_shaded = num_kept = 0
    unexplained: list[NDArray[np.bool_]] = []
    for frame in levels:
        shaded, other = lights.explain(frame)
        kept, lost = _compare_structure(picture, frame)
        num_shaded += np.count_nonzero(shaded)
        num_kept += np.count_nonzero(shaded & kept)
        odd = other & (lost | lights.is_darker(frame))
        unexplained.append(cv2.blur(odd.astype(np.float32), (PATCH, PATCH)) > MIN_IN_PATCH)
    is_seen = num_shaded >= MIN_SHADED_SHARE * levels.size and num_kept >= MIN_KEPT * num_shaded
    return unexplained if is_seen else []


class _Lights(NamedTuple):
    """A still picture under two lights."""

    lit: NDArray[np.float32]
    """(h, w) grey levels in full light, or of what is always shaded."""
    ratio: float
    """Ratio of the shaded to the lit level."""

    def explain(self, frame: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(h, w) the pixels of a frame that are shaded, and those that the two lights do not explain.

        A pixel that is lit in hardly any frame may also be brighter, by the same ratio.
        """
        lit, margin = self.lit, self._margin()
        is_lit = cv2.absdiff(frame, lit) < np.minimum(margin, np.maximum(LIT_MARGIN, LIT_SHARE * lit))
        shaded = cv2.absdiff(frame, self.ratio * lit) < margin
        brighter = cv2.absdiff(self.ratio * frame, lit) < margin
        return shaded, ~(is_lit | shaded | brighter | self._find_edges(frame, is_lit, shaded))

    def _find_edges(
        self, frame: NDArray[np.float32], is_lit: NDArray[np.bool_], shaded: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Mark the pixels (h, w) at the edges of shadows: between lit and shaded areas, at a level in between."""
        sides = [
            cv2.dilate(cv2.morphologyEx(side.view(np.uint8), cv2.MORPH_OPEN, SPECK), EDGE)
            for side in (is_lit & ~shaded, shaded & ~is_lit)
        ]
        return (sides[0] & sides[1] > 0) & (frame < self.lit) & (frame > self.ratio * self.lit)

    def is_darker(self, frame: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(h, w) the pixels of a frame that are darker than any shadow."""
        return frame < self.ratio * self.lit - DARKER * self._margin()

    def _margin(self) -> NDArray[np.float32]:
        return np.maximum(LEVEL_MARGIN, LEVEL_SHARE * (1 - self.ratio) * self.lit)


def _fit_lights(levels: NDArray[np.float32]) -> _Lights | None:
    """The picture in full light and the ratio of two lights of (T, h, w) frames; None if two do not explain enough."""
    num_skipped = 1 if len(levels) >= MIN_FRAMES_TO_SKIP else 0
    lit = np.partition(levels, len(levels) - 1 - num_skipped, axis=0)[len(levels) - 1 - num_skipped]
    shaded = (levels < lit - MIN_SHADE) & (lit > MIN_LIT)
    if np.count_nonzero(shaded) < MIN_SHADED_SHARE * levels.size:
        return None
    depths = np.log(np.broadcast_to(lit, levels.shape)[shaded] / np.maximum(levels[shaded], 1.0))
    counts = np.bincount((depths / BIN).astype(int).clip(0, NUM_BINS - 1), minlength=NUM_BINS)
    counts = np.convolve(counts, np.ones(SMOOTHING), mode="same")
    depth = BIN * (0.5 + int(counts.argmax()))
    if _share_near(depths, depth) >= MIN_AGREEING:
        return _Lights(lit, float(np.exp(-depth)))
    start = min(NUM_BINS - 1, int(DEEP_SHARE * np.quantile(depths, DEEP_QUANTILE) / BIN))
    depth = BIN * (0.5 + start + int(counts[start:].argmax()))
    is_bounded = np.count_nonzero(depths > MAX_DEPTH * depth) <= MAX_DEEPER * len(depths)
    return _Lights(lit, float(np.exp(-depth))) if is_bounded and _share_near(depths, depth) >= MIN_DEEP else None


def _share_near(depths: NDArray[np.float32], depth: float) -> float:
    return np.count_nonzero(np.abs(depths - depth) < AGREEMENT * depth) / len(depths)


def _compare_structure(picture: Structure, frame: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the pixels (h, w) around which the frame has the picture's structure, and those around which it does not.

    Pixels around which neither has any structure are in neither.
    """
    other = measure_structure(frame)
    judged, lost = find_lost(picture, other, np.ones(frame.shape, bool), covariance_of(picture, other))
    return judged & ~lost, lost
