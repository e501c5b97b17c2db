from __future__ import annotations

import math

import numpy as np
import pytest

from mimicbrush.errors import UnusableInput
from mimicbrush.video.display_geometry import Geometry, find_axes

MIRROR = np.array([[-1.0, 0.0], [0.0, 1.0]])


def rotation(degrees: float) -> np.ndarray:
    """A display matrix that turns anticlockwise, in FFmpeg's units."""
    angle = -math.radians(degrees)
    return 65536 * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
@pytest.mark.parametrize("tilt", [0, 0.01, -0.01, 3, -4.9])
def test_small_tilts_are_left_out(turn: int, tilt: float) -> None:
    axes = find_axes(rotation(turn + tilt))
    assert axes == {0: ((1, 0), (0, 1)), 90: ((0, -1), (1, 0)), 180: ((-1, 0), (0, -1)), -90: ((0, 1), (-1, 0))}[turn]
    assert Geometry(640, 360, 1.0, axes).shown_size == ((640, 360) if turn % 180 == 0 else (360, 640))


@pytest.mark.parametrize("angle", [7, 30, 45, 84, 135, -60])
def test_real_tilts_are_refused_by_name(angle: int) -> None:
    with pytest.raises(UnusableInput, match=rf"tilted: .* {angle} degrees"):
        find_axes(rotation(angle))


def test_shears_are_refused() -> None:
    with pytest.raises(UnusableInput, match="tilted"):
        find_axes(np.array([[1.0, 0.0], [1.0, 1.0]]))
    with pytest.raises(UnusableInput, match="tilted"):
        find_axes(np.array([[1.0, 0.0], [1.0, 0.01]]))


def test_mirroring_and_scale_are_told_apart_from_turns() -> None:
    assert find_axes(MIRROR) == ((-1, 0), (0, 1))
    assert find_axes(MIRROR @ rotation(90.4)) == ((0, 1), (1, 0))
    assert find_axes(np.diag([2.0, 1.0]) @ rotation(90)) == find_axes(rotation(90))


@pytest.mark.parametrize("matrix", [None, np.zeros((2, 2)), np.array([[1.0, 0.0], [0.0, 0.0]])])
def test_a_matrix_that_turns_nothing_is_ignored(matrix: np.ndarray | None) -> None:
    assert find_axes(matrix) == ((1, 0), (0, 1))
