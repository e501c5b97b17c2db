"""Content that motion carries from place to place, followed through thumbnails.

A transition replaces content; motion carries it along. What is left of a change after pictures were shifted onto one
another, and whether points that are followed still look the same, tell one from the other: both may change every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import correlate

BLUR = 1.0
"""Standard deviation in pixels of the blur before pictures are compared, as shifts are no whole numbers of pixels."""
NUM_POINTS = 40
"""Largest number of points whose median shift is the camera's."""
MIN_OVERLAP = 0.3
"""Smallest share of a picture that must be seen in the next one after the shift."""
NUM_FOLLOWED = 60
"""Largest number of points that are followed."""
SCALE = 2
"""Factor by which pictures are enlarged before points are followed in them."""
PATCH = 11
"""Side in enlarged pixels of the patch around a point."""
MIN_ALIKE = 0.7
"""Smallest correlation of the patches around a point that still looks the same."""
MIN_MOVED = 0.5
"""Smallest distance in pixels of a point that moved."""


class CameraMotion(NamedTuple):
    """How the camera moves from each of N pictures to the next."""

    changes: NDArray[np.float64]
    """(N - 1,) mean change in grey levels."""
    explained: NDArray[np.float64]
    """(N - 1,) the part of the change that a shift of the whole picture explains."""
    shifts: NDArray[np.float64]
    """(N - 1, 2) that shift along x and y, as shares of width and height."""


def camera_motion(pictures: Sequence[NDArray[np.uint8]]) -> CameraMotion:
    """Measure the camera's motion by shifting pictures onto one another."""
    blurred = [cv2.GaussianBlur(picture, (0, 0), BLUR) for picture in pictures]
    steps = np.array([_step(before, after) for before, after in pairwise(blurred)]).reshape(-1, 4)
    return CameraMotion(steps[:, 0], steps[:, 1], steps[:, 2:])


def _step(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """The change, its explained part, and the shift along x and y."""
    change = float(cv2.absdiff(before, after).mean())
    points = cv2.goodFeaturesToTrack(before, NUM_POINTS, 0.01, 4)
    if points is None:
        return change, 0.0, 0.0, 0.0
    height, width = before.shape
    x, y = np.median(_follow(before, after, points) - points, axis=0).ravel().clip(-width, width).tolist()
    left, top, right, bottom = max(0, ceil(x)), max(0, ceil(y)), width + min(0, floor(x)), height + min(0, floor(y))
    if max(0, right - left) * max(0, bottom - top) < MIN_OVERLAP * width * height:
        return change, 0.0, 0.0, 0.0
    shifted = cv2.warpAffine(before, np.array([[1, 0, x], [0, 1, y]], np.float32), (width, height))
    rest = float(cv2.absdiff(shifted, after)[top:bottom, left:right].mean())
    return change, max(0.0, change - rest), x / width, y / height


def share_carried(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """Share of the points of the first picture that, followed to the last, are in view and look the same there."""
    distances, num_points = _carried(pictures, None)
    return len(distances) / max(1, num_points)


def share_moved(pictures: Sequence[NDArray[np.uint8]], within: NDArray[np.bool_]) -> float:
    """Share of the points of the first picture, (h, w) `within` which they lie, that look the same in another place in
    the last."""
    distances, num_points = _carried(pictures, within)
    return sum(distance > MIN_MOVED for distance in distances) / max(1, num_points)


def _carried(pictures: Sequence[NDArray[np.uint8]], within: NDArray[np.bool_] | None) -> tuple[list[float], int]:
    """Follow points of the first picture to the last: how far those that look the same there moved, and how many were
    followed."""
    larger = [cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR) for picture in pictures]
    height, width = larger[0].shape
    mask = (
        None if within is None else cv2.resize(within.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    )
    points = cv2.goodFeaturesToTrack(larger[0], NUM_FOLLOWED, 0.01, 5, mask=mask)
    if points is None:
        return [], 0
    moved, in_view = points, np.ones(len(points), bool)
    for before, after in pairwise(larger):
        moved = _follow(before, after, moved)
        in_view &= ((moved >= 0) & (moved <= (width - 1, height - 1))).all(axis=2).ravel()
    distances = [
        float(np.linalg.norm(last - first)) / SCALE
        for first, last in zip(points[in_view], moved[in_view], strict=True)
        if correlate(_patch(larger[0], first), _patch(larger[-1], last)) > MIN_ALIKE
    ]
    return distances, len(points)


def _follow(before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 1, 2) places of points in the next picture, by the method of Lucas and Kanade."""
    window = (PATCH, PATCH)
    return cv2.calcOpticalFlowPyrLK(before, after, points, None, winSize=window, maxLevel=2)[0]


def _patch(picture: NDArray[np.uint8], point: NDArray[np.float32]) -> NDArray[np.uint8]:
    return cv2.getRectSubPix(picture, (PATCH, PATCH), point.ravel().tolist())
