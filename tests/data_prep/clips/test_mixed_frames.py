"""Frames of two shots in one picture, as a cover or a reveal shows them."""

from __future__ import annotations

import numpy as np

from data_prep.clips.mixed_frames import num_mixed, split_at_mixed
from data_prep.frames.keypoints import FrameFeatures
from mimicbrush.video.decoded_clip import Frame
from tests.data_prep.conftest import texture

FIRST, SECOND = texture(0, 144, 256), texture(1, 144, 256)


def frames_of(images: list[np.ndarray], start: float = 0.0) -> list[Frame]:
    """Four frames a second."""
    return [Frame(start + i / 4, image) for i, image in enumerate(images)]


def covered(share: float) -> np.ndarray:
    """The second picture moves in from the right over the first one."""
    width = round(256 * share)
    image = FIRST.copy()
    image[:, 256 - width :] = SECOND[:, :width]
    return image


def wiped(share: float) -> np.ndarray:
    image = FIRST.copy()
    image[:, : round(256 * share)] = SECOND[:, : round(256 * share)]
    return image


def panned(share: float) -> np.ndarray:
    return np.concatenate([FIRST, SECOND], axis=1)[:, round(256 * share) :][:, :256]


def test_a_cover_parts_a_shot_and_loses_its_frames() -> None:
    images = [FIRST] * 6 + [covered(share) for share in (0.2, 0.4, 0.6, 0.8)] + [SECOND] * 6
    before, after = split_at_mixed(frames_of(images), features=FrameFeatures())
    assert all(frame.image is FIRST for frame in before)
    assert all(frame.image is SECOND for frame in after)
    assert min(len(before), len(after)) >= 4


def test_a_scene_that_comes_back_is_parted_from_the_one_between() -> None:
    images = [FIRST] * 5 + [wiped(0.5)] + [SECOND] * 6 + [wiped(0.5)] + [FIRST] * 5
    parts = split_at_mixed(frames_of(images), features=FrameFeatures())
    assert [part[0].image is SECOND for part in parts] == [False, True, False]
    assert all(frame.image is part[0].image for part in parts for frame in part)


def test_a_camera_that_moves_from_one_view_to_another_is_one_shot() -> None:
    frames = frames_of([panned(share) for share in np.linspace(0, 1, 12)])
    assert split_at_mixed(frames, features=FrameFeatures()) == [frames]


def test_mixed_frames_at_a_boundary_are_counted_on_both_sides() -> None:
    before = frames_of([FIRST] * 5 + [wiped(0.3)])
    after = frames_of([wiped(0.6), wiped(0.8)] + [SECOND] * 5, start=2.0)
    assert num_mixed(before, after, features=FrameFeatures()) == (1, 2)
    assert num_mixed(before[:5], after[2:], features=FrameFeatures()) == (0, 0)


def test_shots_of_one_room_keep_their_frames() -> None:
    other = FIRST.copy()
    other[20:, 60:180] = SECOND[20:, 60:180]
    before, after = frames_of([FIRST] * 5), frames_of([other] * 5, start=2.0)
    assert num_mixed(before, after, features=FrameFeatures()) == (0, 0)
