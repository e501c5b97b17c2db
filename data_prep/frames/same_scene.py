"""Whether two frames show the same scene: in the same place, or moved, as under a moving camera."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.keypoints import FrameFeatures, Match, detect_keypoints, match_keypoints
from data_prep.frames.uniform_edges import find_content
from mimicbrush.video.decoded_clip import Frame

SIZE = (256, 144)
"""Largest width and height at which blocks are compared; frames are not enlarged."""
BLOCK = 16
"""Side of a block in pixels."""
MIN_TEXTURE = 3.0
"""Standard deviation from which a block counts as textured, in grey levels."""
MIN_CORRELATION = 0.8
"""Smallest correlation of a block that shows the same thing in both frames."""
MIN_SHARE = 0.15
"""Smallest share of the textured blocks that must agree. Measured: at most 0.07 in 20 000 pairs of unrelated frames,
0.3 or more in most clips of a static camera; a logo adds 0.05."""
MIN_BLOCKS = 10
"""Smallest number of textured blocks that is expected; frames with fewer agree less often."""
MAX_BAR_RANGE = 24
"""Range of the levels of a row or column at the edge up to which it is part of a bar."""
MIN_SPREAD = 0.03
"""Smallest area over which matched keypoints must be spread, as a share of the picture: a logo does not count."""


def show_same_scene(first: Frame, second: Frame, *, features: FrameFeatures) -> bool:
    """Whether blocks agree in place, whatever their brightness, or else keypoints match."""
    inside = _crop_bars(first.image, second.image)
    if _share_in_place(*inside) >= MIN_SHARE:
        return True
    described = [
        features.of(frame) if image.shape == frame.image.shape else detect_keypoints(image)
        for frame, image in zip((first, second), inside, strict=True)
    ]
    return _spread(match_keypoints(*described)) >= MIN_SPREAD


def _crop_bars(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crop rows and columns at the edges that are uniform in both frames."""
    if first.shape != second.shape:
        return first, second
    rows, columns = find_content(cv2.max(first, second), cv2.min(first, second), MAX_BAR_RANGE)
    return first[rows, columns], second[rows, columns]


def share_in_place(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Share of the textured blocks that look alike in the same place, after fitting gain and offset; (H, W, 3) RGB."""
    return _share_in_place(*_crop_bars(first, second))


def _share_in_place(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Measure `share_in_place` of two frames whose bars were cropped."""
    if first.shape != second.shape:
        return 0.0
    (first_blocks, first_texture), (second_blocks, second_texture) = _blocks(first), _blocks(second)
    agree = (first_blocks * second_blocks).mean(axis=1) > MIN_CORRELATION
    is_textured = np.stack([first_texture, second_texture]) > MIN_TEXTURE
    return float((agree & is_textured.all(axis=0)).sum() / max(MIN_BLOCKS, is_textured.any(axis=0).sum()))


def _blocks(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, BLOCK ** 2) blocks with mean 0 and deviation 1, and their deviations in grey levels."""
    height, width = image.shape[:2]
    rows, columns = (max(1, min(side, limit) // BLOCK) for side, limit in ((height, SIZE[1]), (width, SIZE[0])))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (columns * BLOCK, rows * BLOCK), interpolation=cv2.INTER_AREA).astype(np.float32)
    blocks = grey.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows * columns, -1)
    blocks -= blocks.mean(axis=1, keepdims=True)
    texture = blocks.std(axis=1)
    return blocks / (texture[:, None] + 1e-6), texture


def _spread(matches: Sequence[Match]) -> float:
    """Area over which the verified matches of two frames are spread, as a share of the picture; 0 without matches."""
    if not matches:
        return 0.0
    low, high = np.quantile(np.array(matches), (0.1, 0.9), axis=0)
    width, height = (high - low).reshape(2, 2).min(axis=0)
    return float(width * height)
