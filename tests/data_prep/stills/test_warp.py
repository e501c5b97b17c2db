from __future__ import annotations

import numpy as np
import pytest

from data_prep.config import WarpConfig
from data_prep.stills.warp import Warp, draw_warp, follow_points, warp_image, warp_mask
from tests.data_prep.conftest import texture

STILL = WarpConfig(
    brightness=0, contrast=0, saturation=0, hue=0, rotation=0, min_scale=1, max_scale=1, perspective=0, flip=0
)


def shift(x: float, y: float) -> Warp:
    return Warp(np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]]), 1, 1, 1, 0)


def test_no_strength_changes_next_to_nothing() -> None:
    picture = texture(0, 64, 96)
    warp = draw_warp(64, 96, STILL, np.random.default_rng(0))
    assert np.allclose(warp.matrix, np.eye(3), atol=1e-6)
    assert np.abs(warp_image(picture, warp).astype(int) - picture).max() <= 1


def test_a_shift_moves_picture_and_mask_and_fills_white() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:20, 10:30] = True
    picture[mask] = (200, 100, 50)
    moved = warp_image(picture, shift(15, 5))
    assert (moved[15:25, 25:45] == moved[20, 30]).all()
    assert (moved[:5] == 255).all()
    assert (moved[:, :15] == 255).all()
    expected = np.zeros_like(mask)
    expected[15:25, 25:45] = True
    assert np.array_equal(warp_mask(mask, shift(15, 5)), expected)


def test_points_are_followed_into_both_pictures() -> None:
    picture = texture(1, 64, 96)
    points = np.array(follow_points(picture, [shift(0, 0), shift(12, -8)]))
    assert len(points) > 10
    moved = (points[:, 2:] - points[:, :2]) * (96, 64)
    assert np.abs(moved - (12, -8)).max() < 0.01
    assert points.min() >= 0
    assert points.max() < 1


def test_flip_mirrors() -> None:
    picture = texture(2, 64, 96)
    warp = draw_warp(64, 96, WarpConfig(**{**vars(STILL), "flip": 1.0}), np.random.default_rng(0))
    assert np.abs(warp_image(picture, warp).astype(int) - picture[:, ::-1]).max() <= 1


@pytest.mark.parametrize("fields", [{"min_scale": 2.0}, {"perspective": 1.5}, {"hue": 0.6}, {"flip": -0.1}])
def test_bad_strengths_name_their_field(fields: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        WarpConfig(**fields)
