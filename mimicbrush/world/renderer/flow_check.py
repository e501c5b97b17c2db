"""Measures how well the exact flow warps one rendered frame onto another."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer.bilinear_sampling import bilinear
from mimicbrush.world.renderer.exact_flow import exact_flow
from mimicbrush.world.renderer.render import Rendered
from mimicbrush.world.renderer.scene import Scene

BORDER_REACH = 2
"""Pixels around a subject's border that are not compared: there fetched pixels mix subject and background."""


class WarpResidual(NamedTuple):
    """Two frames compared along the exact flow."""

    difference: NDArray[np.float32]
    """The second frame, fetched along the flow, minus the first one, in levels of 255 (H, W, 3)."""
    is_compared: NDArray[np.bool_]
    """Pixels that are seen in both frames and lie away from the subject's border in both (H, W)."""


def warp_residual(scenes: tuple[Scene, Scene], frames: tuple[Rendered, Rendered]) -> WarpResidual:
    """Compare two frames of a motion without other objects; their pictures may be compressed, too."""
    size = len(frames[0].picture)
    flow, visible, _ = exact_flow(*scenes, size)
    row, column = np.mgrid[:size, :size]
    x, y = column + flow[0].astype(np.float64), row + flow[1].astype(np.float64)
    first_border, second_border = (_near_border(frame.mask) for frame in frames)
    is_compared = visible & (first_border == 0) & (bilinear(second_border[..., None], x, y)[..., 0] == 0)
    return WarpResidual(255 * (bilinear(frames[1].picture, x, y) - frames[0].picture), is_compared)


def _near_border(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 for pixels near partly covered ones (H, W), else 0."""
    is_border = ((mask > 0) & (mask < 1)).astype(np.float32)
    return cv2.dilate(is_border, np.ones((2 * BORDER_REACH + 1, 2 * BORDER_REACH + 1), np.uint8))
