"""How a decoded frame is shown: its aspect, quarter turns and mirroring."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput

MAX_TILT = 5.0
"""Largest angle in degrees between a display rotation and a quarter turn that is left out: up to here it is a rounding
error, or a slant that a viewer hardly sees. A larger one would need the picture to be turned within black corners."""
CODECS_WITH_NAMED_PROFILES = frozenset({"png", "apng"})
"""Codecs whose frames may carry a colour profile with a name."""

Axes = tuple[tuple[int, int], tuple[int, int]]
"""Where a frame's x axis and its y axis point on screen; each is (x, y) of one 0 and one 1 or -1."""


class Geometry(NamedTuple):
    """Size and orientation of a frame; a clip's frames may differ in it."""

    width: int
    """Width as coded, in pixels."""
    height: int
    aspect: float
    """Width of a coded pixel divided by its height."""
    axes: Axes

    @property
    def is_transposed(self) -> bool:
        """Whether rows become columns on screen."""
        return bool(self.axes[0][1])

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height on screen, with square pixels."""
        size = max(1, round(self.width * self.aspect)), self.height
        return size[::-1] if self.is_transposed else size


def read_display_matrix(frame: av.VideoFrame, codec: str) -> NDArray[np.float64] | None:
    """(2, 2): where a frame's x axis (first row) and y axis point on screen, to some scale; None if it does not say."""
    # PyAV crashes on the side data of PNG, as it frees their names twice, and refuses kinds that it does not know.
    with suppress(ValueError):
        if codec not in CODECS_WITH_NAMED_PROFILES:
            matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
            return None if matrix is None else np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2].astype(float)
    angle = math.radians(-frame.rotation)
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def find_axes(matrix: NDArray[np.float64] | None) -> Axes:
    """The quarter turns and mirroring nearest to a display matrix; raises UnusableInput (tilted).

    Scaling is ignored, as the aspect contains it, and so is a matrix that turns nothing, e.g. of zeros.
    """
    if matrix is None:
        return (1, 0), (0, 1)
    lengths = np.hypot(matrix[:, 0], matrix[:, 1])
    if not lengths.all():
        return (1, 0), (0, 1)
    rows = matrix / lengths[:, None]
    tilts = np.degrees(np.arccos(np.clip(np.abs(rows).max(axis=1), 0, 1)))
    axes = np.rint(rows).astype(int)
    if tilts.max() > MAX_TILT or not round(abs(np.linalg.det(axes))):
        angle = -math.degrees(math.atan2(rows[0, 1], rows[0, 0]))
        raise UnusableInput("tilted", f"to be shown rotated by {angle:.0f} degrees, which is no quarter turn")
    return tuple(axes[0].tolist()), tuple(axes[1].tolist())
