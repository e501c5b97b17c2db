"""Slow transitions between moving pictures, in arrays of 12 frames a second."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from data_prep.clips.shots import find_shots
from data_prep.clips.transitions import Span, is_carried
from data_prep.frames.keypoints import FrameFeatures
from data_prep.frames.same_scene import show_same_scene
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail, shrink_luma
from tests.data_prep.conftest import INFO, panning_frames, texture

FPS = 12
SIZE = (192, 108)
START, END = 3.0, 5.0
SECONDS = 8.0

Mix = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def pan(seed: int, step: float = 1.0) -> list[np.ndarray]:
    """Frames of a camera that moves `step` pixels a frame over a picture with coarse and fine detail."""
    num = int(SECONDS * FPS)
    coarse = texture(seed, 108, 192 + int(num * abs(step)) + 8)
    fine = np.random.default_rng(seed).integers(0, 40, (*coarse.shape[:2], 1)).astype(np.uint8)
    picture = cv2.add(coarse // 2 + 30, np.repeat(cv2.blur(fine, (3, 3))[..., None], 3, axis=2))
    return [np.ascontiguousarray(picture[:, int(step * i) : int(step * i) + 192]) for i in range(num)]


def join(first: list[np.ndarray], second: list[np.ndarray], mix: Mix) -> list[np.ndarray]:
    """Pass from one list of frames into another between START and END; `mix` gets the share of the second."""
    share = np.clip((np.arange(len(first)) / FPS - START) / (END - START), 0, 1)
    pictures = zip(first, second, share, strict=True)
    return [mix(a.astype(np.float32), b.astype(np.float32), s).astype(np.uint8) for a, b, s in pictures]


def clip_of(images: list[np.ndarray]) -> DecodedClip:
    """A clip of which every fifth frame was asked for."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    thumbnails = [Thumbnail(i / FPS, shrink_luma(image), after_gap=False) for i, image in enumerate(grey)]
    frames = [Frame(i / FPS, image) for i, image in enumerate(images) if i % 5 == 0]
    return DecodedClip(frames, thumbnails, "pyav", INFO)


def dissolve(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * a + share * b


def fade_through(level: float) -> Mix:
    def mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
        picture, strength = (a, 1 - 2 * share) if share < 0.5 else (b, 2 * share - 1)
        return strength * picture + (1 - strength) * level

    return mix


def wipe(axis: int) -> Mix:
    def mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
        shape = [1, 1, 1]
        shape[axis] = -1
        return np.where((np.arange(a.shape[axis]) < share * a.shape[axis]).reshape(shape), b, a)

    return mix


def iris(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    y, x = np.mgrid[-54:54, -96:96]
    return np.where((np.hypot(x, y) < 112 * share)[..., None], b, a)


def slide(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    width = a.shape[1]
    return np.concatenate([a, b], axis=1)[:, round(share * width) :][:, :width]


def letterboxed(mix: Mix) -> Mix:
    def mixed(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
        picture = mix(a, b, share)
        picture[:24] = picture[-24:] = 0
        return picture

    return mixed


@pytest.mark.parametrize("step", [0.0, 0.5])
@pytest.mark.parametrize(
    "mix",
    [dissolve, fade_through(0), fade_through(255), wipe(0), wipe(1), iris, slide, letterboxed(dissolve)],
    ids=["dissolve", "through_black", "through_white", "wipe_down", "wipe_right", "iris", "slide", "letterboxed"],
)
def test_a_slow_transition_parts_two_shots_and_loses_its_frames(mix: Mix, step: float) -> None:
    clip = clip_of(join(pan(0, step), pan(1, step), mix))
    shots, dropped, _ = find_shots(clip)
    assert len(shots) == 2
    assert all(frame.time <= START + 0.3 for frame in shots[0].frames)
    assert all(frame.time >= END - 0.3 for frame in shots[1].frames)
    assert len(dropped) >= 3


@pytest.mark.parametrize("level", [0, 255])
def test_a_fade_to_the_same_shot_is_no_boundary(level: int) -> None:
    [shot] = find_shots(clip_of(join(pan(0, 0.0), pan(0, 0.0), fade_through(level)))).shots
    assert shot.frames[0].time == 0
    assert shot.frames[-1].time > END


@pytest.mark.parametrize("level", [0, 255])
def test_a_fade_to_another_thing_in_the_same_room_is_a_boundary(level: int) -> None:
    """The walls agree in place, and their corners match."""
    first, second = pan(0, 0.0), [frame.copy() for frame in pan(0, 0.0)]
    for frame, other in zip(second, pan(1, 0.0), strict=True):
        frame[20:, 40:150] = other[20:, 40:150]
    assert show_same_scene(Frame(0.0, first[0]), Frame(1.0, second[0]), features=FrameFeatures())
    shots, dropped, _ = find_shots(clip_of(join(first, second, fade_through(level))))
    assert [shot.frames[-1].time < START + 0.3 or shot.frames[0].time > END - 0.3 for shot in shots] == [True, True]
    assert len(dropped) >= 3


@pytest.mark.parametrize("level", [0, 255])
def test_half_faded_frames_are_dropped_where_a_clip_begins(level: int) -> None:
    blank = [np.full_like(frame, level) for frame in pan(0, 0.2)]
    [shot] = find_shots(clip_of(join(blank, pan(0, 0.2), dissolve)[int(START * FPS) :])).shots
    assert END - START - 0.5 < shot.frames[0].time < END - START + 1.5


@pytest.mark.parametrize("step", [0.0, 0.5, 1.0, 3.0])
def test_a_moving_camera_is_one_shot(step: float) -> None:
    clip = clip_of(pan(2, step))
    shots, dropped, _ = find_shots(clip)
    assert ([len(shot.frames) for shot in shots], dropped) == ([len(clip.frames)], [])


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_fast_pan_over_coarse_texture_is_one_shot(step: int) -> None:
    """Frames of 64 x 64 pixels, which no keypoints match; the picture is replaced within a second or three."""
    clip = clip_of(panning_frames(0, num=60, step=step))
    shots, dropped, _ = find_shots(clip)
    assert ([len(shot.frames) for shot in shots], dropped) == ([len(clip.frames)], [])


def test_motion_carries_content_and_a_dissolve_does_not() -> None:
    moving, dissolving = clip_of(pan(0, 0.2)), clip_of(join(pan(0, 0.2), pan(1, 0.2), dissolve))
    whole = Span(START - 0.5, END + 0.5)
    assert is_carried(whole, moving.thumbnails)
    assert not is_carried(whole, dissolving.thumbnails)


def test_a_thing_that_covers_half_of_the_picture_is_one_shot() -> None:
    frames = pan(3, 0.0)
    for i, frame in enumerate(frames):
        frame[:, : np.clip(4 * (i - 24), 0, 96)] = (90, 30, 30)
    clip = clip_of(frames)
    [shot] = find_shots(clip).shots
    assert shot.frames == clip.frames


def test_changing_light_is_one_shot() -> None:
    frames = [
        np.clip(image * (1 - 0.5 * np.sin(i / 9)) * 0.7, 0, 255).astype(np.uint8) for i, image in enumerate(pan(4, 0))
    ]
    clip = clip_of(frames)
    [shot] = find_shots(clip).shots
    assert shot.frames == clip.frames


def test_photographers_flashes_do_not_cut_a_shot() -> None:
    frames = pan(5, 0.3)
    for i in (20, 47, 48, 70):
        frames[i] = cv2.add(frames[i], np.full_like(frames[i], 120))
    shots, dropped, _ = find_shots(clip_of(frames))
    assert len(shots) == 1
    assert [frame.time for frame in dropped] == [20 / FPS, 70 / FPS]
