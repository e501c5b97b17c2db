from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.frames import keypoints
from data_prep.frames.keypoints import (
    FrameFeatures,
    KeypointMatcher,
    Match,
    detect_keypoints,
    match_keypoints,
    median_motion,
)
from data_prep.frames.same_scene import show_same_scene
from mimicbrush.video.decoded_clip import Frame
from tests.data_prep.conftest import texture


def match(source: np.ndarray, reference: np.ndarray) -> list[Match]:
    return match_keypoints(detect_keypoints(source), detect_keypoints(reference))


def test_matches_follow_a_known_shift() -> None:
    picture = texture(0, 200, 260)
    source, reference = picture[:180, :200], picture[12:192, 30:230]
    matches = np.array(match(source, reference))
    assert len(matches) >= 20
    moved = (matches[:, :2] - matches[:, 2:]) * (200, 180)
    assert np.abs(moved - (30, 12)).max() < 4
    assert np.abs(np.median(moved, axis=0) - (30, 12)).max() < 0.3
    assert matches.min() >= 0
    assert matches.max() <= 1


def test_matches_are_fractions_of_each_pictures_own_size() -> None:
    picture = texture(1, 160, 200)
    half = np.ascontiguousarray(picture[::2, ::2])
    matches = np.array(match(picture, half))
    assert len(matches) >= 8
    assert np.abs(matches[:, :2] - matches[:, 2:]).max() < 0.05


def test_unrelated_or_blank_pictures_share_nothing() -> None:
    blank = np.full((100, 100, 3), 128, np.uint8)
    assert match(blank, blank) == []
    assert all(match(texture(seed), texture(seed + 1)) == [] for seed in range(2, 8))


@pytest.mark.parametrize(("scale", "degrees"), [(1.25, 0), (2.0, 0), (1.0, 20), (1.0, 90)])
def test_matches_follow_a_zoom_and_a_turn(scale: float, degrees: float) -> None:
    source = cv2.GaussianBlur(texture(7, 240, 320), (0, 0), 2)
    matrix = cv2.getRotationMatrix2D((160, 120), degrees, scale)
    matches = np.array(match(source, cv2.warpAffine(source, matrix, (320, 240))))
    assert len(matches) >= 8
    points = matches * (320, 240, 320, 240)
    errors = np.hypot(*((points[:, :2] @ matrix[:, :2].T + matrix[:, 2]) - points[:, 2:]).T)
    assert np.median(errors) < 2


def test_matches_spread_over_the_picture() -> None:
    picture = texture(8, 200, 300)
    matches = np.array(match(picture[:, :280], picture[:, 10:290]))
    cells = {(int(5 * x), int(5 * y)) for x, y in matches[:, :2]}
    assert len(cells) >= 20


@pytest.mark.parametrize("shape", [(7, 7, 3), (8, 300, 3)])
def test_tiny_pictures_are_no_error(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert isinstance(match(noise, noise), list)


def test_matching_repeats() -> None:
    first, second = texture(4)[:, :200], texture(4)[:, 20:220]
    assert match(first, second) == match(first, second)


def test_what_moves_before_a_still_background_is_matched_too() -> None:
    source, reference = texture(5, 240, 320), texture(5, 240, 320)
    moving = texture(6, 120, 120)
    source[60:180, 40:160] = moving
    reference[60:180, 160:280] = moving
    matches = np.array(match(source, reference))
    moved = (matches[:, 2] - matches[:, 0]) * 320
    assert (np.abs(moved) < 3).sum() >= 8
    assert (np.abs(moved - 120) < 3).sum() >= 8


def test_median_motion_is_a_share_of_the_picture() -> None:
    assert median_motion([(0.1, 0.1, 0.4, 0.5), (0.2, 0.2, 0.2, 0.2), (0.5, 0.5, 0.8, 0.9)]) == pytest.approx(0.5)
    assert median_motion([]) is None


def test_keypoints_of_a_frame_are_found_once_for_shots_and_for_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of one time that were cropped are another picture."""
    picture = texture(9, 200, 400)
    frames = [Frame(0.0, picture[:, :240]), Frame(1.0, picture[:, 60:300])]
    described = []
    compute = keypoints._describe_corners
    monkeypatch.setattr(keypoints, "_describe_corners", lambda grey: described.append(grey) or compute(grey))
    features = FrameFeatures()
    assert show_same_scene(*frames, features=features)
    matches = KeypointMatcher(features).match(*frames)
    assert len(described) == 2
    assert matches == match(*(frame.image for frame in frames))
    cropped = frames[0]._replace(image=frames[0].image[20:])
    assert features.of(cropped).shape == (180, 240)
