"""Matched keypoints of two frames, from which masks are drawn in training.

The paper (3.3) matches SIFT. Here corners are found by Shi and Tomasi's detector and described by SIFT: SIFT's own
detector enlarges the frame twofold and takes most of the time (README, "Keypoints").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import GreyFrames, to_grey
from mimicbrush.video.decoded_clip import Frame

DETECTION_SIZE = 256
"""Short side at which keypoints are detected, in pixels."""
NUM_CORNERS = (200, 80, 40)
"""Largest number of corners at DETECTION_SIZE, at half and at a quarter of it; the smaller sizes match across zooms."""
CORNER_QUALITY = 0.003
"""Smallest strength of a corner, as a share of the strongest one's."""
CORNER_DISTANCE = 5.0
"""Smallest distance of two corners in pixels, which spreads them over the frame, as masks are drawn from them."""
ORIENTATION_SIGMA = 3.0
"""Standard deviation in pixels of the Gaussian window over which the mean gradient gives a corner's orientation."""
SIFT_DIAMETER = 3.2
"""Diameter that SIFT gives to its smallest keypoints: twice the blur of its first layer."""
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
    """Keypoints of a frame with their SIFT descriptors."""

    points: NDArray[np.float32]
    """(N, 2) x, y in pixels of the frame at DETECTION_SIZE."""
    descriptors: NDArray[np.float32]
    """(N, 128)."""
    shape: tuple[int, int]
    """Height and width at DETECTION_SIZE."""


class FrameFeatures:
    """Grey versions and keypoints of the frames that are read together, each made once: shots are told apart by
    keypoints, and then the pairs of a shot are matched by the same ones."""

    def __init__(self) -> None:
        self.greys = GreyFrames()
        self._features: dict[tuple[float, tuple], Features] = {}

    def of(self, frame: Frame) -> Features:
        """The frame's keypoints, as `detect_keypoints` finds them."""
        key = frame.time, frame.image.shape
        if key not in self._features:
            self._features[key] = _describe_corners(self.greys.at(frame, DETECTION_SIZE))
        return self._features[key]


class KeypointMatcher:
    """Matches frames of one shot, any two of them once."""

    def __init__(self, features: FrameFeatures) -> None:
        self.features = features
        self._matches: dict[tuple[float, float], list[Match]] = {}

    def match(self, source: Frame, reference: Frame) -> list[Match]:
        """Match the keypoints of two frames, as `match_keypoints` does."""
        times = source.time, reference.time
        if times not in self._matches:
            self._matches[times] = match_keypoints(self.features.of(source), self.features.of(reference))
        return self._matches[times]


def detect_keypoints(image: NDArray[np.uint8]) -> Features:
    """Find and describe the corners of a (H, W, 3) RGB picture, which is the slow part."""
    return _describe_corners(to_grey(image, DETECTION_SIZE))


def _describe_corners(grey: NDArray[np.uint8]) -> Features:
    """Find and describe the corners of a (H, W) grey frame."""
    points, descriptors = cv2.SIFT_create().compute(grey, list(_corners(grey)))
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


def _corners(grey: NDArray[np.uint8]) -> Iterator[cv2.KeyPoint]:
    """Yield the strongest corners of each size of a (H, W) grey frame, with the octave that SIFT describes them at."""
    for octave, num in enumerate(NUM_CORNERS):
        corners = cv2.goodFeaturesToTrack(grey, num, CORNER_QUALITY, CORNER_DISTANCE)
        if corners is not None:
            columns, rows = corners.reshape(-1, 2).astype(int).T
            x_slope, y_slope = (
                cv2.GaussianBlur(slope, (0, 0), ORIENTATION_SIGMA)[rows, columns] for slope in _slopes(grey)
            )
            angles = cv2.phase(x_slope, y_slope, angleInDegrees=True).ravel()
            for x, y, angle in zip(columns, rows, angles, strict=True):
                place = float(x << octave), float(y << octave)
                yield cv2.KeyPoint(*place, SIFT_DIAMETER * 2**octave, float(angle), octave=octave)
        grey = cv2.pyrDown(grey)


def _slopes(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope of a (H, W) grey frame along x, and along y."""
    return cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)


def _match(source: Features, reference: Features) -> tuple[NDArray, NDArray]:
    """(N, 2) pixel positions in each frame of the matches that pass the ratio test, each reference point once."""
    if not len(source.points) or len(reference.points) < 2:
        return source.points[:0], reference.points[:0]
    squared = _squared_distances(source.descriptors, reference.descriptors)
    rows, best = np.arange(len(squared)), squared.argmin(axis=1)
    nearest = squared[rows, best]
    squared[rows, best] = np.inf
    passing = np.flatnonzero(nearest < LOWE_RATIO**2 * squared.min(axis=1))
    passing = passing[np.argsort(nearest[passing], kind="stable")]
    chosen = np.sort(passing[np.unique(best[passing], return_index=True)[1]])
    return source.points[chosen], reference.points[best[chosen]]


def _squared_distances(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) squared distances of (N, 128) and (M, 128) descriptors; exact, as SIFT rounds them to whole numbers."""
    return (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * (first @ second.T)


def _agree_on_one_plane(source: NDArray, reference: NDArray) -> NDArray[np.bool_]:
    """(N,) whether each match agrees with the homography that most matches share; none does if fewer than 8 do."""
    none = np.zeros(len(source), bool)
    if len(source) < MIN_MATCHES:
        return none
    # Finds as many matches as plain RANSAC in a tenth of its time, and always draws the same samples.
    _, agrees = cv2.findHomography(source, reference, cv2.USAC_FAST, MAX_ERROR)
    return none if agrees is None or agrees.sum() < MIN_MATCHES else agrees.ravel().astype(bool)


def _normalise(source: NDArray, source_shape: tuple, reference: NDArray, reference_shape: tuple) -> list[Match]:
    """Pixel centres to fractions of each frame's width and height."""
    scale = np.array([source_shape[1], source_shape[0], reference_shape[1], reference_shape[0]], np.float32)
    points = (np.concatenate([source, reference], axis=1) + 0.5) / scale
    return [tuple(point) for point in points.clip(0, 1).astype(float).round(5).tolist()]
