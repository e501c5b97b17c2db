"""Strong augmentation of stills: two augmentations of one still are a pseudo-pair (paper, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.config import WarpConfig
from mimicbrush.pictures.conversion import is_masked


class Warp(NamedTuple):
    """One augmentation: a projective transform and a change of colours."""

    matrix: NDArray[np.float64]
    """(3, 3) homography from pixels of the still to pixels of the augmented picture."""
    brightness: float
    contrast: float
    saturation: float
    hue: float


def draw_warp(height: int, width: int, config: WarpConfig, generator: np.random.Generator) -> Warp:
    """Draw a random augmentation of a (height, width) still onto a canvas of the same size."""
    to_centre = np.array([[1, 0, (1 - width) / 2], [0, 1, (1 - height) / 2], [0, 0, 1]])
    flip = np.diag([-1.0 if generator.random() < config.flip else 1.0, 1.0, 1.0])
    scale = np.exp(generator.uniform(np.log(config.min_scale), np.log(config.max_scale)))
    angle = np.radians(generator.uniform(-config.rotation, config.rotation))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    matrix = _projection(height, width, config, generator) @ np.linalg.inv(to_centre) @ turn @ flip @ to_centre
    brightness, contrast, saturation = (
        1 + generator.uniform(-strength, strength)
        for strength in (config.brightness, config.contrast, config.saturation)
    )
    return Warp(matrix, brightness, contrast, saturation, generator.uniform(-config.hue, config.hue))


def _projection(height: int, width: int, config: WarpConfig, generator: np.random.Generator) -> NDArray[np.float64]:
    right, bottom = width - 1, height - 1
    corners = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    moved = generator.uniform(0, config.perspective / 2, (4, 2)) * (width, height) * inwards
    return cv2.getPerspectiveTransform(corners, (corners + moved).astype(np.float32))


def warp_image(image: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Recolour and warp (H, W, 3) RGB; pixels beyond the still are white."""
    height, width = image.shape[:2]
    return cv2.warpPerspective(
        recolour(image, warp), warp.matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )


def warp_mask(mask: NDArray[np.bool_], warp: Warp) -> NDArray[np.bool_]:
    """Warp a mask (H, W) as its image is warped."""
    height, width = mask.shape
    return is_masked(
        cv2.warpPerspective(mask.astype(np.uint8) * 255, warp.matrix, (width, height), flags=cv2.INTER_LINEAR)
    )


def recolour(image: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue of (H, W, 3) RGB."""
    mean = float(image.mean())
    levels = (np.arange(256) - mean) * warp.contrast + mean
    table = np.clip(np.round(levels * warp.brightness), 0, 255).astype(np.uint8)
    # In float, as the 180 hues of 8-bit HSV cause errors of up to five grey levels.
    hsv = cv2.cvtColor(cv2.LUT(image, table).astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * warp.hue) % 360
    hsv[..., 1] = np.clip(hsv[..., 1] * warp.saturation, 0, 1)
    return np.round(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def follow_points(image: NDArray[np.uint8], warps: Sequence[Warp], *, num: int = 200) -> list[tuple[float, ...]]:
    """Positions (x, y, x, y), in [0, 1], of the still's corners that are seen in both augmented pictures."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    corners = cv2.goodFeaturesToTrack(grey, num, qualityLevel=0.01, minDistance=max(2, min(height, width) // 40))
    if corners is None:
        return []
    moved = [cv2.perspectiveTransform(corners.astype(np.float64), warp.matrix)[:, 0] for warp in warps]
    points = (np.concatenate(moved, axis=1) + 0.5) / ([width, height] * len(warps))
    seen = points[((points >= 0) & (points < 1)).all(axis=1)]
    return [tuple(round(float(value), 5) for value in point) for point in seen]
