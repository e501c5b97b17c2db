from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.clips.borders import Borders, find_borders
from data_prep.clips.clip_to_pairs import read_clip
from data_prep.config import VideoShardConfig
from mimicbrush.pictures.reading import decode_rgb
from mimicbrush.video.clip_writer import write_h264
from tests.data_prep.conftest import panning_frames, texture

HEIGHT, WIDTH = 120, 160


def moving(num: int = 8, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """Frames of a camera that moves over a detailed picture."""
    wide = np.random.default_rng(0).integers(0, 256, (height // 2, width // 2 + 4 * num, 3)).astype(np.uint8)
    picture = cv2.resize(wide, (width + 8 * num, height), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(picture[:, 8 * i : 8 * i + width]) for i in range(num)]


def padded(images: list[np.ndarray], borders: Borders, colour: tuple[int, int, int] = (0, 0, 0)) -> list[np.ndarray]:
    left, top, right, bottom = borders
    pad = {"borderType": cv2.BORDER_CONSTANT, "value": colour}
    return [cv2.copyMakeBorder(image, top, bottom, left, right, **pad) for image in images]


def noise(images: list[np.ndarray], deviation: float) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [np.clip(image + generator.normal(0, deviation, image.shape), 0, 255).astype(np.uint8) for image in images]


@pytest.mark.parametrize(
    ("borders", "colour"),
    [
        (Borders(0, 20, 0, 20), (0, 0, 0)),
        (Borders(0, 7, 0, 30), (0, 0, 0)),
        (Borders(50, 0, 50, 0), (16, 16, 16)),
        (Borders(20, 14, 20, 14), (0, 0, 0)),
        (Borders(90, 0, 90, 0), (0, 0, 0)),
        (Borders(0, 20, 0, 21), (255, 255, 255)),
        (Borders(24, 0, 24, 0), (30, 60, 160)),
        (Borders(0, 18, 0, 0), (0, 0, 0)),
        (Borders(0, 0, 0, 24), (255, 255, 255)),
        (Borders(30, 0, 0, 0), (30, 60, 160)),
    ],
)
@pytest.mark.parametrize("deviation", [0.0, 5.0])
def test_bars_are_found_to_the_pixel(borders: Borders, colour: tuple[int, int, int], deviation: float) -> None:
    found = find_borders(noise(padded(moving(), borders, colour), deviation))
    assert all(0 <= a - b <= 1 for a, b in zip(found, borders, strict=True))


def test_blended_lines_are_cropped_with_the_bar() -> None:
    large = padded(moving(height=240, width=320), Borders(0, 53, 0, 53))
    small = [cv2.resize(image, None, fx=0.77, fy=0.77, interpolation=cv2.INTER_AREA) for image in large]
    left, top, right, bottom = find_borders(small)
    assert (left, right) == (0, 0)
    assert top in (41, 42)
    assert bottom in (41, 42)


def test_a_logo_and_subtitles_belong_to_the_bar() -> None:
    images = padded(moving(), Borders(0, 24, 0, 24))
    for number, image in enumerate(images):
        image[6:18, 10:40] = (230, 40, 40)
        cv2.putText(image, f"line {number}", (50, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240, 240, 240), 1)
    assert find_borders(images) == (0, 24, 0, 24)


@pytest.mark.parametrize("upright", [True, False])
def test_blurred_sides_are_cropped(upright: bool) -> None:
    images = []
    for image in moving(width=100):
        behind = cv2.blur(cv2.blur(cv2.resize(image, (220, HEIGHT)), (25, 25)), (25, 25))
        behind[:, 60:160] = image
        images.append(behind if upright else np.ascontiguousarray(behind.swapaxes(0, 1)))
    found = find_borders(images)
    sides = (found.left, found.right) if upright else (found.top, found.bottom)
    assert all(60 <= side <= 62 for side in sides)
    assert sum(found) == sum(sides)


def test_pictures_without_borders_stay_whole() -> None:
    disc = [np.full((240, 320, 3), 255, np.uint8) for _ in range(8)]
    night = [np.zeros((240, 320, 3), np.uint8) for _ in range(8)]
    hills = 40 + np.round(2 * np.sin(np.arange(WIDTH) / 9))
    is_sky = (np.arange(HEIGHT)[:, None] < hills)[..., None]
    horizon = [np.where(is_sky, np.uint8(250), image) for image in moving()]
    generator = np.random.default_rng(0)
    for number, (light, dark) in enumerate(zip(disc, night, strict=True)):
        cv2.circle(light, (160 + number, 120), 70, (180, 60, 20), -1)
        for x, y in generator.integers(40, 200, (12, 2)):
            cv2.circle(dark, (int(x), int(y)), 3, (250, 240, 200), -1)
    screen = [np.zeros((240, 320, 3), np.uint8) for _ in range(8)]
    studio = [np.full((240, 320, 3), 252, np.uint8) for _ in range(8)]
    for number, (text, subject) in enumerate(zip(screen, studio, strict=True)):
        for row in range(13):
            words = "".join(generator.choice(list("abcdefg h"), 40))
            cv2.putText(text, words, (0, 8 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (200, 200, 200), 1)
        cv2.rectangle(subject, (100 + 4 * number, 60), (200 + 4 * number, 239), (60, 50, 90), -1)
    soft = [cv2.blur(image, (31, 31)) for image in moving()]
    for image, sharp in zip(soft, moving(), strict=True):
        near = np.zeros((HEIGHT, WIDTH, 1), np.float32)
        cv2.circle(near, (80, 60), 45, 1.0, -1)
        near = cv2.blur(near, (15, 15))[..., None]
        image[:] = near * sharp + (1 - near) * image
    for images in (moving(), disc, night, horizon, soft, screen, studio, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 4):
        assert find_borders(images) == (0, 0, 0, 0)


@pytest.mark.parametrize(("left", "top"), [(30, 20), (60, 60)])
def test_a_constant_picture_around_a_moving_one_is_cropped(left: int, top: int) -> None:
    """In the middle, and in a corner."""
    around, wide = texture(2, 180, 240), texture(22, HEIGHT, 240)
    images = []
    for number in range(8):
        images.append(around.copy())
        images[-1][top : top + HEIGHT, left : left + 180] = wide[:, 8 * number : 8 * number + 180]
    found = find_borders(images)
    expected = (left, top, 240 - 180 - left, 180 - HEIGHT - top)
    assert all(a - b == (b > 0) for a, b in zip(found, expected, strict=True))


def test_a_still_room_with_a_door_is_no_frame() -> None:
    """Something moves in front of a door; the door's posts are straight, and there is no step above and below."""
    room = moving(1, 180, 240)[0]
    room[:, 80:83] = room[:, 160:163] = 0
    images = []
    for number, thing in enumerate(moving(height=60, width=50)):
        images.append(room.copy())
        images[-1][70 + number : 130 + number, 90 + number : 140 + number] = thing
    assert find_borders(images) == Borders()


def test_bars_of_some_frames_only_are_no_border() -> None:
    barred = padded(moving(height=80), Borders(0, 20, 0, 20))
    assert find_borders(moving()[:4] + barred[4:]) == (0, 0, 0, 0)
    assert find_borders(barred) == (0, 20, 0, 20)


def test_a_dark_start_hides_no_bars() -> None:
    images = [(level * image).astype(np.uint8) for level, image in zip(np.linspace(0, 1, 8), moving(), strict=True)]
    assert find_borders(padded(images, Borders(0, 20, 0, 20))) == (0, 20, 0, 20)


def test_cropping_keeps_the_content() -> None:
    image = texture(0)
    borders = Borders(3, 5, 7, 9)
    assert np.array_equal(borders.crop(padded([image], borders)[0]), image)


def test_pairs_of_a_barred_clip_show_no_bar_and_say_so(tmp_path: Path) -> None:
    plain, barred = tmp_path / "plain.mp4", tmp_path / "barred.mp4"
    images = panning_frames(0, num=24, step=1, side=96)
    write_h264(plain, images, fps=12)
    write_h264(barred, padded(images, Borders(0, 32, 0, 32)), fps=12)
    outcomes = []
    for path in (plain, barred):
        config = VideoShardConfig(videos=path, output=tmp_path / "out", exact_frames=True)
        outcomes.append(read_clip("clip", path, metadata={}, config=config))
    assert len(outcomes[1].pairs) == len(outcomes[0].pairs) > 4
    assert "cropped" not in outcomes[0].record
    assert outcomes[1].record["cropped"] == [0, 32, 0, 32]
    for pair in outcomes[1].pairs:
        assert pair.origin["cropped"] == [0, 32, 0, 32]
        assert pair.origin["size"] == [96, 96]
        for encoded in (pair.source, pair.reference):
            shown = decode_rgb(encoded)
            assert shown.shape[:2] == (96, 96)
            assert min(shown[0].mean(), shown[-1].mean()) > 40


def test_flat_pictures_are_not_cropped_to_the_little_that_moves() -> None:
    images = [np.zeros((64, 128, 3), np.uint8) for _ in range(7)]
    for number, image in enumerate(images):
        image[:, 52:76] = 200, 30, 30
        image[:, 63:65] = np.random.default_rng(number).integers(0, 256, (64, 2, 3))
    assert find_borders(images) == Borders()
