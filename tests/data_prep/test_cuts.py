from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from data_prep.cuts import find_shots
from mimicbrush.video.clip_reader import probe, read_frames
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail, shrink_luma
from tests.data_prep.conftest import INFO, panning_frames, real_data, texture


def clip_of(images: list[np.ndarray], *, gaps: tuple[int, ...] = (), step: float = 0.1) -> DecodedClip:
    thumbnails = [Thumbnail(step * i, shrink_luma(image[..., 0]), i in gaps) for i, image in enumerate(images)]
    return DecodedClip([Frame(step * i, image) for i, image in enumerate(images)], thumbnails, "pyav", INFO)


def test_a_cut_is_found_and_a_moving_camera_is_none() -> None:
    images = [*panning_frames(0, num=10), *panning_frames(1, num=10), *panning_frames(2, num=10)]
    clip = clip_of(images)
    shots = find_shots(clip)
    assert shots.cuts == pytest.approx([1.0, 2.0])
    first, last_of_shot, next_shot = (clip.frames[i] for i in (0, 9, 10))
    assert not shots.are_apart(first, last_of_shot)
    assert shots.are_apart(last_of_shot, next_shot)
    assert shots.are_apart(first, clip.frames[25])


def test_a_flash_that_lasts_is_a_cut_and_fading_is_none() -> None:
    dark, bright = texture(0) // 2, texture(0)
    assert find_shots(clip_of([dark] * 5 + [bright] * 5)).cuts == pytest.approx([0.5])
    fading = [(texture(0) * level).astype(np.uint8) for level in np.linspace(0.3, 1, 20)]
    assert find_shots(clip_of(fading)).cuts == []


def test_across_an_unseen_stretch_colours_decide() -> None:
    reddish, bluish = texture(0), texture(0)[..., ::-1].copy()
    reddish[..., 2] //= 4
    bluish[..., 0] //= 4
    alike = clip_of([reddish, (0.9 * reddish).astype(np.uint8)], gaps=(1,))
    other = clip_of([reddish, bluish], gaps=(1,))
    assert not find_shots(alike).are_apart(*alike.frames)
    assert find_shots(other).are_apart(*other.frames)


@pytest.mark.parametrize("num_frames", [3, 16, 60])
def test_the_only_cut_of_a_real_clip_parts_its_frames(num_frames: int) -> None:
    """Whether a seek passes over it (at its keyframe) or not."""
    path = real_data("videos") / "nasa_13013.mp4"
    times = list(np.linspace(1.5, 0.95 * probe(path).duration, num_frames))
    clip = read_frames(path, times, short_side=144)
    shots = find_shots(clip)
    cut = 8.008
    for first, second in combinations(clip.frames, 2):
        assert shots.are_apart(first, second) == (first.time < cut - 0.01 < second.time)


@pytest.mark.parametrize("name", ["03_blocks.mp4", "man-skiing.mp4", "wolf.mp4", "woman-running.mp4"])
def test_real_clips_of_one_shot_have_none(name: str) -> None:
    path = real_data("videos") / name
    times = list(np.linspace(0, 0.95 * probe(path).duration, 16))
    assert find_shots(read_frames(path, times, short_side=144)).cuts == []
