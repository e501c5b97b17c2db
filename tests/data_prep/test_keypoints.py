from __future__ import annotations

import numpy as np

from data_prep.keypoints import match_keypoints
from tests.data_prep.conftest import texture


def test_matches_follow_a_known_shift() -> None:
    picture = texture(0, 200, 260)
    source, reference = picture[:180, :200], picture[12:192, 30:230]
    matches = np.array(match_keypoints(source, reference))
    assert len(matches) >= 20
    moved = (matches[:, :2] - matches[:, 2:]) * (200, 180)
    assert np.abs(moved - (30, 12)).max() < 4
    assert np.abs(np.median(moved, axis=0) - (30, 12)).max() < 0.3
    assert matches.min() >= 0
    assert matches.max() <= 1


def test_matches_are_fractions_of_each_pictures_own_size() -> None:
    picture = texture(1, 160, 200)
    half = np.ascontiguousarray(picture[::2, ::2])
    matches = np.array(match_keypoints(picture, half))
    assert len(matches) >= 8
    assert np.abs(matches[:, :2] - matches[:, 2:]).max() < 0.05


def test_unrelated_or_blank_pictures_share_nothing() -> None:
    blank = np.full((100, 100, 3), 128, np.uint8)
    assert match_keypoints(blank, blank) == []
    assert len(match_keypoints(texture(2), texture(3))) < 12


def test_matching_repeats() -> None:
    first, second = texture(4)[:, :200], texture(4)[:, 20:220]
    assert match_keypoints(first, second) == match_keypoints(first, second)
