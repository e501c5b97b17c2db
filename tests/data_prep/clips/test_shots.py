from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from skimage import data

from data_prep.clips.shots import find_cuts, find_shots, num_pairs_across
from mimicbrush.video.clip_reader import probe, read_frames
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail, shrink_luma
from tests.data_prep.conftest import INFO, panning_frames, real_data, texture


def clip_of(images: list[np.ndarray], *, gaps: tuple[int, ...] = (), step: float = 0.1) -> DecodedClip:
    thumbnails = [Thumbnail(step * i, shrink_luma(image[..., 0]), i in gaps) for i, image in enumerate(images)]
    return DecodedClip([Frame(step * i, image) for i, image in enumerate(images)], thumbnails, "pyav", INFO)


def test_a_cut_parts_shots_and_a_moving_camera_does_not() -> None:
    images = [*panning_frames(0, num=10), *panning_frames(1, num=10), *panning_frames(2, num=10)]
    clip = clip_of(images)
    assert find_cuts(clip.thumbnails)[0] == pytest.approx([1.0, 2.0])
    shots = find_shots(clip).shots
    assert [len(shot.frames) for shot in shots] == [10, 10, 10]
    assert [frame for shot in shots for frame in shot.frames] == clip.frames
    assert num_pairs_across(shots) == 300
    assert not any(shot.are_apart(first, second) for shot in shots for first, second in combinations(shot.frames, 2))


def test_a_frame_that_blends_both_shots_belongs_to_neither() -> None:
    """Such frames lie at cuts where another frame rate was made of a film."""
    first, second = (panning_frames(seed, num=20, step=1) for seed in (0, 1))
    blended = cv2.addWeighted(first[-1], 0.5, second[0], 0.5, 0)
    shots, dropped, _ = find_shots(clip_of([*first, blended, *second]))
    assert not any((frame.image == blended).all() for shot in shots if len(shot.frames) > 1 for frame in shot.frames)
    assert sum(len(shot.frames) for shot in shots) >= 36
    assert len(dropped) <= 4


def test_a_flash_that_lasts_is_a_cut_and_fading_is_none() -> None:
    dark, bright = texture(0) // 2, texture(0)
    assert find_cuts(clip_of([dark] * 5 + [bright] * 5).thumbnails)[0] == pytest.approx([0.5])
    fading = [(texture(0) * level).astype(np.uint8) for level in np.linspace(0.3, 1, 20)]
    assert find_cuts(clip_of(fading).thumbnails) == ([], [])


@pytest.mark.parametrize(("is_other_light", "num_shots"), [(False, 2), (True, 1)])
def test_another_person_in_one_room_is_a_cut_and_another_light_is_none(is_other_light: bool, num_shots: int) -> None:
    room = texture(0)
    other = room // 2 if is_other_light else room.copy()
    if not is_other_light:
        other[:, 60:180] = texture(1)[:, 60:180]
    clip = clip_of([room] * 10 + [other] * 10)
    assert len(find_cuts(clip.thumbnails)[0]) == 1
    assert len(find_shots(clip).shots) == num_shots


def test_a_clip_is_read_again_where_gaps_may_hide_cuts() -> None:
    yellow, purple, other = texture(0), texture(0), texture(1)
    yellow[..., 2] //= 4
    purple[..., 1] //= 4
    assert not find_shots(clip_of([yellow] * 4, gaps=(2,))).may_hide_cuts()
    assert find_shots(clip_of([yellow] * 2 + [purple] * 2, gaps=(2,))).may_hide_cuts()
    assert find_shots(clip_of([yellow] * 8 + [other] * 8)).may_hide_cuts()


def test_across_an_unseen_stretch_colours_decide() -> None:
    """The thumbnails, made of the red channel, are alike."""
    yellow, purple = texture(0), texture(0)
    yellow[..., 2] //= 4
    purple[..., 1] //= 4
    [alike] = find_shots(clip_of([yellow, (0.9 * yellow).astype(np.uint8)], gaps=(1,))).shots
    [other] = find_shots(clip_of([yellow, purple], gaps=(1,))).shots
    assert not alike.are_apart(*alike.frames)
    assert other.are_apart(*other.frames)


@pytest.mark.parametrize("num_frames", [3, 16, 60])
def test_the_cut_and_the_dissolve_of_a_real_clip_part_its_frames(num_frames: int) -> None:
    """Whether a seek passes over it (at its keyframe) or not."""
    path = real_data("videos") / "nasa_13013.mp4"
    times = list(np.linspace(1.5, 0.95 * probe(path).duration, num_frames))
    clip = read_frames(path, times, short_side=144)
    shots = find_shots(clip).shots
    number = {frame.time: i for i, shot in enumerate(shots) for frame in shot.frames}
    cut, dissolve = 8.008, 5.4
    for first, second in combinations([frame for frame in clip.frames if frame.time in number], 2):
        shot = shots[number[first.time]]
        is_apart = number[first.time] != number[second.time] or shot.are_apart(first, second)
        assert is_apart == any(first.time < boundary - 0.01 < second.time for boundary in (cut, dissolve))


@pytest.mark.parametrize("name", ["03_blocks.mp4", "man-skiing.mp4", "wolf.mp4", "woman-running.mp4"])
def test_real_clips_of_one_shot_have_none(name: str) -> None:
    path = real_data("videos") / name
    times = list(np.linspace(0, 0.95 * probe(path).duration, 16))
    clip = read_frames(path, times, short_side=256)
    assert find_cuts(clip.thumbnails) == ([], [])
    [shot] = find_shots(clip).shots
    assert shot.frames == clip.frames


def test_no_frame_beside_a_slow_cover_shows_a_strip_of_the_other_shot() -> None:
    """The second shot moves in from the right over four seconds; in each a thing moves."""
    picture, thing = data.coffee()[60:240, 60:380], texture(5, 60, 60)
    first = []
    for number in range(60):
        frame = picture.copy()
        frame[60:120, 3 * number : 3 * number + 60] = thing
        first.append(frame)
    second = [np.ascontiguousarray(frame[:, ::-1, ::-1]) for frame in first]
    images = first[:55]
    for number in range(40):
        width = round(320 * (number + 1) / 41)
        images[15 + number] = np.hstack([images[15 + number][:, : 320 - width], second[number][:, :width]])
    clip = clip_of([*images, *second[40:]])
    shots = find_shots(clip._replace(frames=clip.frames[1::4])).shots
    assert len(shots) == 2
    assert all(frame.time < 1.45 for frame in shots[0].frames)
    assert all(frame.time > 5.45 for frame in shots[1].frames)
    assert min(len(shot.frames) for shot in shots) >= 3
