"""One person after another in one room, before a camera that stands still."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.clips.shots import find_shots
from data_prep.clips.static_dissolves import find_static_dissolves
from data_prep.clips.static_windows import find_static_windows
from data_prep.clips.transitions import Span
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail, shrink_luma
from tests.data_prep.conftest import INFO, texture

ROOM = texture(0, 144, 256)


def with_person(seed: int, left: float = 90.0) -> np.ndarray:
    picture = ROOM.copy()
    picture[30:144, round(left) : round(left) + 70] = texture(seed, 114, 70)
    return picture


def mixed(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return ((1 - share) * first + share * second).astype(np.uint8)


def thumbnails_of(images: list[np.ndarray]) -> list[Thumbnail]:
    """Twenty frames a second."""
    return [Thumbnail(i / 20, shrink_luma(image[..., 0]), False) for i, image in enumerate(images)]


def dissolves_in(images: list[np.ndarray]) -> list[Span]:
    thumbnails = thumbnails_of(images)
    return find_static_dissolves(thumbnails, list(find_static_windows(thumbnails)))


DISSOLVING = [
    *[with_person(1)] * 20,
    *[mixed(with_person(1), with_person(2), share) for share in np.linspace(0, 1, 14)],
    *[with_person(2)] * 20,
]


def test_a_dissolve_between_two_people_in_one_room_parts_two_shots() -> None:
    [span] = dissolves_in(DISSOLVING)
    assert span.start < 1.05
    assert span.end > 1.6
    assert span.length < 1.5
    frames = [Frame(i / 20, image) for i, image in enumerate(DISSOLVING)]
    before, after = find_shots(DecodedClip(frames, thumbnails_of(DISSOLVING), "pyav", INFO)).shots
    assert all((frame.image == DISSOLVING[0]).all() for frame in before.frames)
    assert all((frame.image == DISSOLVING[-1]).all() for frame in after.frames)


@pytest.mark.parametrize("speed", [10, 60, 200])
def test_a_person_who_walks_through_the_room_is_no_dissolve(speed: int) -> None:
    walking = [with_person(1, left) for left in np.arange(0, 180, speed / 20)]
    assert dissolves_in(walking) == []


def test_a_lamp_that_lights_part_of_the_room_is_no_dissolve() -> None:
    lit = ROOM.copy()
    lit[:, 90:200] = ROOM[:, 90:200] // 3
    fading = [mixed(ROOM, lit, share) for share in np.linspace(0, 1, 20)]
    assert dissolves_in([ROOM] * 10 + fading + [lit] * 10) == []
