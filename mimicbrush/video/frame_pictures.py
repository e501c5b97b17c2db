"""Decoded frames as pictures: RGB on screen, and thumbnails."""

from __future__ import annotations

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from mimicbrush.video.decoded_clip import shrink_luma

SCALING = Interpolation.AREA | Interpolation.FULL_CHR_H_INT
"""Area averaging. Without the flag, colours have half the width and pictures are a grey level darker."""
LUMA_STEP = 8
"""Step in pixels, in both directions, at which a frame is sampled before it is averaged down to a thumbnail."""


def to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, scaled to `size` (width, height on screen), rotated and mirrored as the container asks."""
    (x_from_x, x_from_y), (y_from_x, y_from_y) = _display_matrix(frame)
    coded_size = size[::-1] if x_from_y else size
    image = frame.to_ndarray(format="rgb24", width=coded_size[0], height=coded_size[1], interpolation=SCALING)
    if x_from_y:
        image, x_from_x, y_from_y = image.swapaxes(0, 1), y_from_x, x_from_y
    return np.ascontiguousarray(image[::y_from_y, ::x_from_x])


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32]:
    """(2, 2) of -1, 0 and 1: rotation by quarter turns, and mirroring."""
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    return np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2]) if matrix else np.eye(2, dtype=np.int32)


def to_thumbnail(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(36, 64) luma as it is coded: not rotated, in full or limited range."""
    if not frame.format.name.startswith(("yuv", "nv12")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return shrink_luma(np.ascontiguousarray(rows[::LUMA_STEP, ::LUMA_STEP]))
