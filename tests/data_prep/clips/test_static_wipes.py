"""Wipes from one person to another in one room, before a camera that stands still."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.clips.shots import find_shots
from data_prep.clips.static_windows import find_static_windows
from data_prep.clips.static_wipes import find_static_wipes
from data_prep.clips.transitions import Span
from mimicbrush.video.decoded_clip import DecodedClip, Frame
from tests.data_prep.clips.test_static_dissolves import DISSOLVING, ROOM, thumbnails_of, with_person
from tests.data_prep.conftest import INFO, texture

ROWS, COLUMNS = np.mgrid[:144, :256]


def wipes_in(images: list[np.ndarray], **known: list[Span]) -> list[Span]:
    thumbnails = thumbnails_of(images)
    return find_static_wipes(thumbnails, list(find_static_windows(thumbnails)), **known)


def wiped(place: np.ndarray, num: int) -> list[np.ndarray]:
    """A second with one person, a wipe in `num` frames in the order of each pixel's `place`, and another one."""
    order = (place - place.min()) / np.ptp(place)
    first, second = with_person(1), with_person(2)
    passing = [np.where((order < share)[..., None], second, first) for share in np.linspace(0, 1, num)]
    return [first] * 20 + passing + [second] * 20


@pytest.mark.parametrize("num", [12, 40])
@pytest.mark.parametrize("place", [COLUMNS, -COLUMNS, ROWS, COLUMNS + ROWS], ids=["right", "left", "down", "slanted"])
def test_a_wipe_between_two_people_in_one_room_parts_two_shots(place: np.ndarray, num: int) -> None:
    """Only the people's place changes, and the edge is followed to where nothing does."""
    images = wiped(place, num)
    [span] = wipes_in(images)
    assert (span.start, span.end) == pytest.approx((0.975, 0.975 + num / 20), abs=0.25)
    frames = [Frame(i / 20, image) for i, image in enumerate(images)]
    before, after = find_shots(DecodedClip(frames, thumbnails_of(images), "pyav", INFO)).shots
    assert all((frame.image == images[0]).all() for frame in before.frames)
    assert all((frame.image == images[-1]).all() for frame in after.frames)


@pytest.mark.parametrize("speed", [10, 60, 200])
def test_a_person_who_walks_through_the_room_is_no_wipe(speed: int) -> None:
    walking = [with_person(1, left) for left in np.arange(0, 180, speed / 20)]
    assert wipes_in(walking) == []


@pytest.mark.parametrize(
    "board", [texture(5, 144, 256), np.full((144, 256, 3), 90, np.uint8)], ids=["textured", "plain"]
)
def test_a_board_that_moves_in_is_no_wipe(board: np.ndarray) -> None:
    images = [ROOM.copy() for _ in range(60)]
    for image, width in zip(images[10:], np.linspace(4, 200, 50).astype(int), strict=True):
        image[:, :width] = board[:, 256 - width :]
    assert wipes_in(images) == []


def test_a_dissolve_a_cut_and_a_passing_shadow_are_no_wipes() -> None:
    assert wipes_in(DISSOLVING) == []
    assert wipes_in([with_person(1)] * 20 + [with_person(2)] * 20) == []
    shaded = [np.where((8 * i > COLUMNS)[..., None], ROOM // 2, ROOM) for i in range(32)]
    assert wipes_in([ROOM] * 10 + shaded) == []


def test_a_wipe_to_a_plain_wall_is_followed_where_a_transition_was_found() -> None:
    """Alone it is taken for a board that moves in."""
    wall = np.full((144, 256, 3), 90, np.uint8)
    passing = [np.where((256 * share > COLUMNS)[..., None], wall, ROOM) for share in np.linspace(0, 1, 40)]
    images = [ROOM] * 20 + passing + [wall] * 20
    assert wipes_in(images) == []
    [span] = wipes_in(images, known=[Span(1.5, 2.5)])
    assert (span.start, span.end) == pytest.approx((1.0, 3.0), abs=0.4)
