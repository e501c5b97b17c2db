"""Matched keypoints of two frames, so that masks can follow detail (paper, 3.3: SIFT matches draw the mask)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.images import to_grey

DETECTION_SIZE = 256
"""Short side at which points are sought; more pixels give more points of ever smaller detail."""
MAX_FEATURES = 500
LOWE_RATIO = 0.75
MIN_MATCHES = 8
"""Fewer matches are as likely to be chance."""
MAX_ERROR = 4.0
"""Pixels at DETECTION_SIZE that a match may lie off the common homography."""

Match = tuple[float, float, float, float]


def match_keypoints(source: NDArray[np.uint8], reference: NDArray[np.uint8]) -> list[Match]:
    """Points that two frames share: (source x, source y, reference x, reference y), each in [0, 1].

    source, reference: (H, W, 3) RGB. SIFT, Lowe's ratio test, then one homography by RANSAC; empty where fewer than 8
    matches agree on one.
    """
    source_grey, reference_grey = to_grey(source, DETECTION_SIZE), to_grey(reference, DETECTION_SIZE)
    source_points, reference_points = _match(source_grey, reference_grey)
    if len(source_points) < MIN_MATCHES:
        return []
    # findHomography samples with OpenCV's own generator: without the seed the matches depend on what ran before.
    cv2.setRNGSeed(0)
    _, agrees = cv2.findHomography(source_points, reference_points, cv2.RANSAC, MAX_ERROR)
    if agrees is None or agrees.sum() < MIN_MATCHES:
        return []
    kept = agrees.ravel().astype(bool)
    return _normalise(source_points[kept], source_grey.shape, reference_points[kept], reference_grey.shape)


def _match(source: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """(N, 2) pixel positions in each frame that pass the ratio test, each reference point once."""
    sift = cv2.SIFT_create(MAX_FEATURES)
    source_points, source_features = sift.detectAndCompute(source, None)
    reference_points, reference_features = sift.detectAndCompute(reference, None)
    if source_features is None or reference_features is None or len(reference_points) < 2:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    best: dict[int, cv2.DMatch] = {}
    for first, second in cv2.BFMatcher(cv2.NORM_L2).knnMatch(source_features, reference_features, k=2):
        known = best.get(first.trainIdx)
        if first.distance < LOWE_RATIO * second.distance and (known is None or first.distance < known.distance):
            best[first.trainIdx] = first
    pairs = [(source_points[m.queryIdx].pt, reference_points[m.trainIdx].pt) for m in best.values()]
    array = np.array(pairs, np.float32).reshape(-1, 2, 2)
    return array[:, 0], array[:, 1]


def _normalise(source: NDArray, source_shape: tuple, reference: NDArray, reference_shape: tuple) -> list[Match]:
    """Pixel centres to fractions of each frame's width and height."""
    scale = np.array([source_shape[1], source_shape[0], reference_shape[1], reference_shape[0]], np.float32)
    points = (np.concatenate([source, reference], axis=1) + 0.5) / scale
    return [tuple(round(float(value), 5) for value in point) for point in points.clip(0, 1)]
