"""Strips of another shot along a side of a frame."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from data_prep.clips.seams import has_strip, num_with_strip
from data_prep.frames.images import to_grey
from data_prep.frames.keypoints import FrameFeatures
from mimicbrush.video.decoded_clip import Frame
from tests.data_prep.conftest import texture

WIDE = np.ascontiguousarray(data.chelsea()[60:220, :320])
FIRST, SECOND = np.ascontiguousarray(WIDE[:, :256]), texture(4, 160, 256)


def grey(image: np.ndarray) -> np.ndarray:
    return to_grey(image, 256)


def with_strip(turns: int, width: int, image: np.ndarray = FIRST) -> np.ndarray:
    turned, other = np.rot90(image, turns).copy(), np.rot90(SECOND, turns)
    turned[:, :width] = other[:, -width:]
    return np.ascontiguousarray(np.rot90(turned, -turns))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("width", [6, 20])
def test_a_strip_is_seen_at_every_side(turns: int, width: int) -> None:
    assert has_strip(grey(with_strip(turns, width)), grey(FIRST))


def test_a_strip_is_seen_before_a_camera_that_moves() -> None:
    views = [np.ascontiguousarray(WIDE[:, x : x + 256]) for x in (0, 24)]
    assert has_strip(grey(with_strip(0, 16, views[1])), grey(views[0]))


def test_motion_and_an_edge_that_stays_are_no_strips() -> None:
    views = [np.ascontiguousarray(WIDE[:, x : x + 256]) for x in (0, 24)]
    assert not has_strip(*(grey(view) for view in views))
    framed = [with_strip(0, 16, image) for image in (FIRST, np.roll(FIRST, 3, axis=0))]
    assert not has_strip(*(grey(image) for image in framed))
    brighter = np.clip(FIRST.astype(int) + 30, 0, 255).astype(np.uint8)
    assert not has_strip(grey(brighter), grey(FIRST))


def test_leading_frames_with_a_strip_are_counted() -> None:
    images = [with_strip(0, 24), with_strip(0, 6), *[FIRST] * 5]
    frames = [Frame(number / 4, image) for number, image in enumerate(images)]
    assert num_with_strip(frames, features=FrameFeatures()) == 2
    assert num_with_strip(frames[2:], features=FrameFeatures()) == 0
