"""The surround of an inset: a constant picture around a moving one, such as a pattern or a photograph behind it.

What never changes is no border in itself, as a camera may stand still before a subject. A surround meets the moving
picture in straight lines: along each of its sides, nearly every line of pixels has a step at the very same place.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_CONSTANT = 12
"""Largest range of the levels of a constant pixel over all frames; compression changes it."""
MAX_CHANGING = 0.005
"""Largest share of the pixels of a constant line that may change."""
MIN_DEPTH_SHARE = 0.02
"""Smallest depth of a surround's side, as a share of the picture's width or height."""
MIN_NUM_SIDES = 2
"""Smallest number of sides that a surround has: an inset may lie in a corner."""
MIN_INSET = 0.35
"""Smallest side of an inset, as a share of the picture's; a smaller one is a clock or a logo that changes."""
REACH = 3
"""Distance in pixels over which a step is measured, as scaling and compression blend surround and inset."""
STEP_LEVELS = 8
"""Smallest step between surround and inset, in grey levels, beyond the larger of the steps before and after it."""
MIN_STEPPING = 0.45
"""Smallest share of the lines that have a step at the edge in most frames. Measured in the mean of all frames: 0.42 to
1.0 at the 83 edges of 28 insets, 0.2 or less around most of them."""
MIN_CONTRAST = 2.0
"""Smallest ratio of that share to the usual one around the edge."""
NEIGHBOURS = 10
"""Number of pixels on either side that are around the edge."""


def find_inset_surround(greys: Sequence[NDArray[np.uint8]]) -> tuple[int, int, int, int]:
    """Depths of a surround at the left, top, right and bottom of (H, W) grey frames; zeros if there is none."""
    none = 0, 0, 0, 0
    frames = np.stack(greys)
    changing = cv2.blur(frames.max(axis=0) - frames.min(axis=0), (3, 3)) > MAX_CONSTANT
    rows, columns = (np.flatnonzero(changing.mean(axis=axis) > MAX_CHANGING) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return none
    height, width = changing.shape
    across, down = slice(columns[0], columns[-1] + 1), slice(rows[0], rows[-1] + 1)
    upright, turned = frames[:, :, across], frames[:, down].swapaxes(1, 2)
    constant = columns[0], rows[0], width - 1 - columns[-1], height - 1 - rows[-1]
    is_side = [depth >= MIN_DEPTH_SHARE * length for depth, length in zip(constant, (width, height) * 2, strict=True)]
    ways = turned, upright, turned[:, ::-1], upright[:, ::-1]
    if sum(is_side) < MIN_NUM_SIDES:
        return none
    left, top, right, bottom = (
        _find_edge(lines, depth) if is_one else 0 for lines, depth, is_one in zip(ways, constant, is_side, strict=True)
    )
    is_whole = [depth > 0 for depth in (left, top, right, bottom)] == is_side
    is_large = min((width - left - right) / width, (height - top - bottom) / height) >= MIN_INSET
    return (left, top, right, bottom) if is_whole and is_large else none


def _find_edge(lines: NDArray[np.uint8], constant: int) -> int:
    """Depth of the outermost straight edge among the first `constant` lines of (T, L, n) frames; 0 if there is none.

    The line right after the edge belongs to the border, as chroma is blended there.
    """
    near = lines[:, : constant + NEIGHBOURS + 3 * REACH].astype(np.int16)
    steps = np.abs(near[:, REACH:] - near[:, :-REACH])
    beside = np.maximum(steps[:, : -2 * REACH], steps[:, 2 * REACH :])
    in_most_frames = (steps[:, REACH:-REACH] > STEP_LEVELS + beside).mean(axis=0) > 0.5
    stepping = in_most_frames.mean(axis=1)
    for place in np.flatnonzero(stepping[: max(0, constant - REACH)] >= MIN_STEPPING).tolist():
        # A sharp edge is seen at REACH neighbouring places, of which the last one lies REACH + 1 before it.
        last = place + int(stepping[place : place + REACH].argmax())
        around = np.delete(stepping, slice(place - 1, last + REACH))[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]
        if stepping[last] >= MIN_CONTRAST * np.median(around):
            above = stepping[last : last + REACH] >= 0.8 * stepping[last]
            return last + int(np.flatnonzero(above)[-1]) + REACH + 2
    return 0
