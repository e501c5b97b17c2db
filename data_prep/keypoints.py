"""Matched keypoints of two frames, from which masks are drawn in training (paper, 3.3: SIFT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.images import to_grey
from mimicbrush.video.decoded_clip import Frame

DETECTION_SIZE = 256
"""Short side at which keypoints are detected, in pixels; more pixels give more keypoints on ever finer detail."""
MAX_FEATURES = 300
LOWE_RATIO = 0.75
"""Largest ratio of the distances to the best and the second-best descriptor; above it a match is ambiguous."""
MIN_MATCHES = 8
"""Smallest number of matches that must agree on a homography; fewer may agree by chance."""
MAX_ERROR = 4.0
"""Largest distance between a match and its homography, in pixels at DETECTION_SIZE."""
MAX_PLANES = 4
"""Largest number of homographies, fitted one after the other: a single one would keep the background and drop whatever
moves in front of it."""
MIN_VOUCHING = 30
"""Smallest number of matches that show that two frames share content; unrelated ones have none."""
VOUCHING_GRID = 4
"""Number of cells along a side of the grid over which these matches must be spread."""
MIN_VOUCHING_CELLS = 5
"""Smallest number of cells with a match in either frame: a logo or a caption fills two or three."""
MIN_VOUCHING_MOTION = 0.01
"""Smallest median motion of these matches, as a share of the picture: what looks unlike for other reasons, such as a
flash or noise, is a still scene."""

Match = tuple[float, float, float, float]
"""Source x, source y, reference x, reference y, each as a fraction of the frame's width or height."""


class Features(NamedTuple):
    """SIFT keypoints of a frame."""

    points: NDArray[np.float32]
    """(N, 2) x, y in pixels of the frame at DETECTION_SIZE."""
    descriptors: NDArray[np.float32]
    """(N, 128)."""
    shape: tuple[int, int]
    """Height and width at DETECTION_SIZE."""


class KeypointMatcher:
    """Matches frames of one clip. Keypoints of a frame are detected once, and two frames are matched once."""

    def __init__(self) -> None:
        self._features: dict[float, Features] = {}
        self._matches: dict[tuple[float, float], list[Match]] = {}

    def match(self, source: Frame, reference: Frame) -> list[Match]:
        """Match the keypoints of two frames, as `match_keypoints` does."""
        times = source.time, reference.time
        if times not in self._matches:
            self._matches[times] = match_keypoints(self._detect(source), self._detect(reference))
        return self._matches[times]

    def _detect(self, frame: Frame) -> Features:
        if frame.time not in self._features:
            self._features[frame.time] = detect_keypoints(frame.image)
        return self._features[frame.time]


def detect_keypoints(image: NDArray[np.uint8]) -> Features:
    """Detect SIFT keypoints of a (H, W, 3) RGB frame. This is the slow part, done once for a frame of several pairs."""
    grey = to_grey(image, DETECTION_SIZE)
    points, descriptors = cv2.SIFT_create(MAX_FEATURES).detectAndCompute(grey, None)
    positions = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    return Features(positions, np.empty((0, 128), np.float32) if descriptors is None else descriptors, grey.shape)


def match_keypoints(source: Features, reference: Features) -> list[Match]:
    """Match the keypoints of two frames.

    Lowe's ratio test comes first, then up to four homographies are fitted by RANSAC. A match that agrees with none of
    them is dropped, and a homography with which fewer than 8 matches agree does not count.
    """
    source_points, reference_points = _match(source, reference)
    kept: list[Match] = []
    for _ in range(MAX_PLANES):
        agrees = _agree_on_one_plane(source_points, reference_points)
        if not agrees.any():
            break
        kept += _normalise(source_points[agrees], source.shape, reference_points[agrees], reference.shape)
        source_points, reference_points = source_points[~agrees], reference_points[~agrees]
    return kept


def vouch_for(matches: Sequence[Match]) -> bool:
    """Whether matches show that two frames share content that moves: many of them, spread over both pictures.

    Few matches prove nothing: frames of water or of smoke share content without any.
    """
    if len(matches) < MIN_VOUCHING or median_motion(matches) < MIN_VOUCHING_MOTION:
        return False
    cells = np.minimum(np.array(matches) * VOUCHING_GRID, VOUCHING_GRID - 1).astype(int)
    return all(len(np.unique(each, axis=0)) >= MIN_VOUCHING_CELLS for each in (cells[:, :2], cells[:, 2:]))


def median_motion(matches: Sequence[Match]) -> float | None:
    """Median distance between matched points, as a share of the picture's width and height; None without matches."""
    if not matches:
        return None
    points = np.array(matches)
    return float(np.median(np.hypot(*(points[:, :2] - points[:, 2:]).T)))


def _match(source: Features, reference: Features) -> tuple[NDArray, NDArray]:
    """(N, 2) pixel positions in each frame of the matches that pass the ratio test, each reference point once."""
    best: dict[int, cv2.DMatch] = {}
    if len(source.points) and len(reference.points) >= 2:
        for first, second in cv2.BFMatcher(cv2.NORM_L2).knnMatch(source.descriptors, reference.descriptors, k=2):
            known = best.get(first.trainIdx)
            if first.distance < LOWE_RATIO * second.distance and (known is None or first.distance < known.distance):
                best[first.trainIdx] = first
    pairs = [(source.points[match.queryIdx], reference.points[match.trainIdx]) for match in best.values()]
    array = np.array(pairs, np.float32).reshape(-1, 2, 2)
    return array[:, 0], array[:, 1]


def _agree_on_one_plane(source: NDArray, reference: NDArray) -> NDArray[np.bool_]:
    """(N,) whether each match agrees with the homography that most matches share; none does if fewer than 8 do."""
    none = np.zeros(len(source), bool)
    if len(source) < MIN_MATCHES:
        return none
    # findHomography draws from OpenCV's global generator: without the seed, matches would depend on earlier calls.
    cv2.setRNGSeed(0)
    _, agrees = cv2.findHomography(source, reference, cv2.RANSAC, MAX_ERROR)
    return none if agrees is None or agrees.sum() < MIN_MATCHES else agrees.ravel().astype(bool)


def _normalise(source: NDArray, source_shape: tuple, reference: NDArray, reference_shape: tuple) -> list[Match]:
    """Pixel centres to fractions of each frame's width and height."""
    scale = np.array([source_shape[1], source_shape[0], reference_shape[1], reference_shape[0]], np.float32)
    points = (np.concatenate([source, reference], axis=1) + 0.5) / scale
    return [tuple(round(float(value), 5) for value in point) for point in points.clip(0, 1)]
