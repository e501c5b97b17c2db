from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from data_prep.frames.images import to_grey
from data_prep.frames.likeness import MAX_FLAT_WEIGHT, Likeness, compare, look_at
from data_prep.frames.ssim import structural_similarity
from tests.data_prep.conftest import texture

STILL = texture(0, 192, 256)


def likeness(first: np.ndarray, second: np.ndarray) -> Likeness:
    return compare(*(look_at(to_grey(image, 256)) for image in (first, second)), min_changed=0.05)


def levels(image: np.ndarray) -> np.ndarray:
    return image.clip(0, 255).astype(np.uint8)


def saturate(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(float)
    return levels(grey + 1.4 * (image - grey))


LIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "fade": lambda image: levels(0.3 * image),
    "exposure": lambda image: levels(1.5 * image + 20.0),
    "gamma": lambda image: levels(255 * (image / 255) ** 1.8),
    "inverse gamma": lambda image: levels(255 * (image / 255) ** 0.5),
    "saturation": saturate,
    "white balance": lambda image: levels(image * np.array([1.25, 1.0, 0.7])),
    "side light": lambda image: levels(image * np.linspace(0.5, 1.2, image.shape[1])[None, :, None]),
}


@pytest.mark.parametrize("name", LIGHTS)
def test_light_is_no_change_and_motion_under_it_is(name: str) -> None:
    lit = LIGHTS[name](STILL)
    assert likeness(STILL, lit).changed < 0.05
    assert likeness(lit, STILL).changed < 0.05
    assert likeness(STILL, np.roll(lit, 12, axis=1)).changed > 0.3


def test_grain_over_changing_light_is_no_change_and_motion_under_it_is() -> None:
    """The picture has little contrast, so that the grain has nearly as much structure."""
    generator, soft = np.random.default_rng(0), 90 + STILL * 0.25
    lit = LIGHTS["gamma"](soft)
    first, second, moved = (
        levels(image + generator.normal(0, 25, image.shape)) for image in (soft, lit, np.roll(lit, 12, axis=1))
    )
    assert likeness(first, second).changed < 0.05
    assert likeness(first, moved).changed > 0.3


def test_a_growing_vignette_is_no_change_and_motion_under_it_is() -> None:
    """The encoder leaves little of a weak structure where it is dark."""
    y, x = np.mgrid[-1:1:192j, -1:1:256j]
    soft = 60 + STILL * 0.2

    def under(image: np.ndarray, width: float) -> np.ndarray:
        dark = levels(image * (0.15 + 0.85 * np.exp(-(x**2 + y**2) / width))[..., None])
        return cv2.imdecode(cv2.imencode(".jpg", dark, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_COLOR)

    assert likeness(under(soft, 0.9), under(soft, 0.15)).changed < 0.05
    assert likeness(under(soft, 0.9), under(np.roll(soft, 12, axis=1), 0.15)).changed > 0.07


def test_a_flicker_that_leaves_the_dark_part_as_it_is_is_no_change_and_motion_under_it_is() -> None:
    dark = STILL.astype(float)
    dark[:, :150] *= 0.02
    bright, moved = levels(1.25 * dark), levels(1.25 * np.roll(dark, 6, axis=0))
    assert likeness(levels(dark), bright).changed < 0.05
    assert likeness(levels(dark), moved).changed > 0.15


@pytest.mark.parametrize(
    ("first", "second", "softness"), [(0.1, 0.5, 0.04), (0.4, 0.6, 0.04), (-0.3, 1.3, 0.04), (0.1, 0.5, 0.003)]
)
def test_a_shadow_that_passes_is_no_change_and_motion_under_it_is(first: float, second: float, softness: float) -> None:
    """Part of the picture is a plain wall, on which the edge itself is all that is seen."""
    wall = STILL.copy()
    wall[:90] = 180
    moved = wall.copy()
    moved[110:170, 60:200] = texture(1, 60, 140)

    def shaded(image: np.ndarray, edge: float) -> np.ndarray:
        return levels(image * (0.45 + 0.55 / (1 + np.exp(-(np.linspace(0, 1, 256) - edge) / softness)))[:, None])

    assert likeness(shaded(wall, first), shaded(wall, second)).changed < 0.05
    assert likeness(shaded(wall, first), shaded(moved, second)).changed > 0.1


def test_shadows_of_leaves_and_blinds_are_no_change_and_motion_under_them_is() -> None:
    """They have edges all over the picture, which are soft in more detail."""
    generator = np.random.default_rng(3)
    leaves = cv2.GaussianBlur(generator.normal(size=(192, 300)), (0, 0), 12)
    slats = np.tile(2 * np.sin(np.arange(300) / 8.4), (192, 1))
    soft = 100 + STILL * 0.3
    detailed = soft + cv2.resize(generator.integers(-40, 40, (96, 128)).astype(float), (256, 192))[..., None]

    def shaded(image: np.ndarray, shadow: np.ndarray, shift: int) -> np.ndarray:
        dark = 1 / (1 + np.exp(-shadow[:, shift : shift + 256] / 0.4))
        return levels(image * (1 - 0.5 * dark)[..., None])

    for image, shadow in ((soft, leaves / leaves.std()), (detailed, slats)):
        moved = image.copy()
        moved[40:150, 60:200] = texture(1, 110, 140)
        assert likeness(shaded(image, shadow, 0), shaded(image, shadow, 14)).changed < 0.05
        assert likeness(shaded(image, shadow, 0), shaded(moved, shadow, 14)).changed > 0.1


def test_a_subject_that_moves_under_changing_light_is_a_change() -> None:
    frames = []
    for x, light in ((30, 1.0), (150, 0.7)):
        image = STILL.copy()
        image[60:140, x : x + 60] = texture(1, 80, 60)
        frames.append(levels(light * image))
    assert likeness(*frames).changed > 0.15


def test_what_appears_before_a_plain_wall_under_changing_light_is_a_change() -> None:
    wall = np.full((192, 256, 3), 120, np.uint8)
    wall[:, :60] = texture(2, 192, 60)
    shown = levels(0.8 * wall)
    shown[50:150, 120:190] = texture(1, 100, 70)
    assert likeness(wall, levels(0.8 * wall)).changed < 0.05
    assert likeness(wall, shown).changed > 0.1
    assert likeness(shown, wall).changed > 0.1


@pytest.mark.parametrize("top", [4, 150])
def test_a_banner_that_alone_changes_is_no_change(top: int) -> None:
    frames = [STILL.copy(), STILL.copy()]
    frames[0][top : top + 34] = (250, 250, 250)
    frames[1][top : top + 34, :200] = (10, 40, 90)
    assert likeness(*frames).changed < 0.05
    moved = [frames[0], np.roll(frames[1], 12, axis=1)]
    assert likeness(*moved).changed > 0.3


def test_a_subject_in_the_middle_is_no_banner() -> None:
    frames = [STILL.copy(), STILL.copy()]
    frames[1][80:114, 30:220] = texture(1, 34, 190)
    assert likeness(*frames).changed > 0.08


def test_full_pictures_have_their_mean_similarity() -> None:
    first, second = texture(0)[..., 0], texture(1)[..., 0]
    assert compare(look_at(first), look_at(second), min_changed=0.05).similarity == structural_similarity(first, second)


def test_empty_area_counts_for_a_bounded_share() -> None:
    sky = np.full((200, 160), 230, np.uint8)
    scores = []
    for depth in range(0, 161, 5):
        first, second = (np.concatenate([sky[:depth], texture(seed, 200, 160)[depth:, :, 0]]) for seed in (0, 1))
        scores.append(compare(look_at(first), look_at(second), min_changed=0.05).similarity)
    plain = structural_similarity(first, second)
    assert plain > 0.75
    assert scores[-1] < MAX_FLAT_WEIGHT + 0.6 * 0.2
    assert np.abs(np.diff(scores)).max() < 0.06


def test_change_is_a_share_of_the_content() -> None:
    frames = [np.full((200, 256), 200, np.uint8) for _ in range(2)]
    for frame, left in zip(frames, (40, 60), strict=True):
        frame[90:120, left : left + 30] = texture(2, 30, 30)[..., 0]
    whole = (cv2.blur(frames[0], (7, 7)).astype(int) - cv2.blur(frames[1], (7, 7)) != 0).mean()
    assert whole < 0.05 < compare(*map(look_at, frames), min_changed=0.0).changed


@pytest.mark.parametrize(("step", "is_change"), [(0, False), (9, True)])
def test_a_window_that_moves_over_a_still_is_no_change_and_what_moves_in_it_is(step: int, is_change: bool) -> None:
    frames = []
    for left, shift in ((30, 0), (80, step)):
        frame = np.full_like(STILL, 255)
        frame[30:170, left : left + 130] = np.roll(STILL, shift, axis=1)[30:170, left : left + 130]
        frames.append(to_grey(frame, 256))
    with_alpha = compare(*(look_at(grey, has_alpha=True) for grey in frames), min_changed=0.05)
    assert (with_alpha.changed > 0.05) == is_change
    assert compare(*map(look_at, frames), min_changed=0.05).changed > 0.3
