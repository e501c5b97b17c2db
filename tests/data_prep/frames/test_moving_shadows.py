"""Shadows with hard edges over a still picture, and things that move under the same shadows."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from data_prep.frames.moving_shadows import MovingShadows
from tests.data_prep.conftest import texture

HEIGHT, WIDTH, NUM = 128, 192, 8
PAIRS = list(combinations(range(NUM), 2))
GENERATOR = np.random.default_rng(0)
STILL = 90 + 0.35 * cv2.cvtColor(texture(0, HEIGHT, WIDTH), cv2.COLOR_RGB2GRAY)
STILL = STILL + cv2.resize(GENERATOR.normal(0, 8, (HEIGHT // 2, WIDTH // 2)), (WIDTH, HEIGHT))
THING = cv2.resize(GENERATOR.integers(20, 240, (8, 8)).astype(np.uint8), (36, 36), interpolation=cv2.INTER_CUBIC)


def leaves() -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(3).normal(size=(HEIGHT, WIDTH + 60)), (0, 0), 8)
    return field / field.std()


def blinds() -> np.ndarray:
    return np.tile(1.5 * np.sin(np.arange(WIDTH + 60) / 3.5), (HEIGHT, 1))


def light(shadow: np.ndarray, number: int, *, step: int = 6, depth: float = 0.5, softness: float = 0.05) -> np.ndarray:
    """(H, W) factor of the shadow, which moves `step` pixels from each frame to the next."""
    dark = 1 / (1 + np.exp(-shadow[:, step * number : step * number + WIDTH].clip(-2, 2) / softness))
    return 1 - depth * dark


def levels(picture: np.ndarray) -> np.ndarray:
    return picture.clip(0, 255).astype(np.uint8)


def with_thing(number: int) -> np.ndarray:
    picture = STILL.copy()
    picture[40 : 40 + 36, 18 * number : 18 * number + 36] = THING
    return picture


def grainy(picture: np.ndarray) -> np.ndarray:
    return picture + np.random.default_rng(1).normal(0, 4, picture.shape)


def compressed(picture: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", levels(picture), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("change", [levels, grainy, compressed])
@pytest.mark.parametrize("shadow", [leaves, blinds])
def test_shadows_over_a_still_explain_its_frames_and_no_thing_that_moves_under_them(shadow, change) -> None:
    still = MovingShadows([levels(change(STILL * light(shadow(), number))) for number in range(NUM)])
    moving = MovingShadows([levels(change(with_thing(number) * light(shadow(), number))) for number in range(NUM)])
    assert all(still.explain(*pair) for pair in PAIRS)
    assert not any(moving.explain(*pair) for pair in PAIRS)


@pytest.mark.parametrize("depth", [0.35, 0.6])
def test_weak_and_strong_shadows_explain_a_still(depth: float) -> None:
    shadows = MovingShadows([levels(STILL * light(leaves(), number, depth=depth)) for number in range(NUM)])
    assert all(shadows.explain(*pair) for pair in PAIRS)


def test_shadows_that_hardly_move_explain_a_still() -> None:
    """Most pixels that are shaded in some frame lie at the edge of a shadow."""
    shadows = MovingShadows([levels(STILL * light(leaves(), number, step=2, softness=0.1)) for number in range(NUM)])
    assert all(shadows.explain(*pair) for pair in PAIRS)


def test_only_frames_without_a_visitor_are_explained() -> None:
    pictures = [STILL] * 5 + [with_thing(number) for number in range(3)]
    shadows = MovingShadows([levels(picture * light(leaves(), number)) for number, picture in enumerate(pictures)])
    assert all(shadows.explain(*pair) == (pair[1] < 5) for pair in PAIRS)


def test_a_shot_without_shadows_is_not_explained() -> None:
    panned = [levels(np.roll(STILL, 9 * number, axis=1)) for number in range(NUM)]
    for frames in ([levels(with_thing(number)) for number in range(NUM)], panned, [levels(STILL)] * NUM):
        shadows = MovingShadows(frames)
        assert not any(shadows.explain(*pair) for pair in PAIRS)


def test_a_plain_wall_does_not_tell_shadows_from_things() -> None:
    shadows = MovingShadows([levels(180 * light(leaves(), number)) for number in range(NUM)])
    assert not any(shadows.explain(*pair) for pair in PAIRS)


def test_two_frames_are_enough() -> None:
    still = [levels(STILL * light(leaves(), number)) for number in (0, 4)]
    moving = [levels(with_thing(number) * light(leaves(), number)) for number in (0, 4)]
    assert MovingShadows(still).explain(0, 1)
    assert not MovingShadows(moving).explain(0, 1)
