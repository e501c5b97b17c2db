from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from mimicbrush.video.display_geometry import Geometry
from mimicbrush.video.frame_pictures import deinterlace, has_alpha, to_rgb, to_thumbnail
from tests.data_prep.conftest import panning_frames
from tests.video.odd_clips import weave

UPRIGHT = (1, 0), (0, 1)


def to_frame(image: np.ndarray, format: str = "rgb24") -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format=format)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def grey_error(frame: av.VideoFrame, truth: np.ndarray) -> float:
    grey = to_frame(truth).reformat(format="gray").to_ndarray().astype(int)
    return float(np.abs(frame.reformat(format="gray").to_ndarray() - grey).mean())


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv411p", "yuv422p10le", "yuva444p12le", "nv12", "rgb24"])
def test_deinterlaced_frames_show_the_first_field(pixels: str) -> None:
    pictures = panning_frames(1, num=6, step=3, side=128)
    before, frame = (to_frame(weave(*pictures[i : i + 2])).reformat(format=pixels) for i in (0, 2))
    combed = grey_error(frame, pictures[2])
    assert combed > 5
    for neighbour in (before, None):
        shown = deinterlace(frame, neighbour)
        assert (shown.width, shown.height) == (128, 128)
        assert grey_error(shown, pictures[2]) < combed / 3


def test_still_detail_survives_deinterlacing() -> None:
    """One field alone would lose lines that are one pixel high."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[::4] = 200
    frame = to_frame(picture).reformat(format="yuv420p")
    assert grey_error(deinterlace(frame, frame), picture) < 2


def test_combs_go_even_if_the_frame_before_is_the_same() -> None:
    pictures = panning_frames(1, num=4, step=3, side=128)
    frame = to_frame(weave(*pictures[:2])).reformat(format="yuv420p")
    assert grey_error(deinterlace(frame, frame), pictures[0]) < grey_error(frame, pictures[0]) / 3


def test_combs_of_black_and_white_are_seen() -> None:
    """Steps of 255 levels, whose products would not fit into 16 bits."""
    pictures = np.zeros((2, 64, 64, 3), np.uint8)
    pictures[0, :, 32:] = pictures[1, :, :32] = 255
    frame = to_frame(weave(*pictures)).reformat(format="yuv420p")
    assert grey_error(deinterlace(frame, frame), pictures[0]) < 20 < grey_error(frame, pictures[0])


@pytest.mark.parametrize("other", [(64, 64, "yuv422p"), (32, 64, "yuv420p")])
def test_frames_of_another_layout_are_no_neighbours(other: tuple[int, int, str]) -> None:
    frame = to_frame(panning_frames(1, num=1)[0]).reformat(format="yuv420p")
    height, width, pixels = other
    neighbour = to_frame(np.zeros((height, width, 3), np.uint8)).reformat(format=pixels)
    assert grey_error(deinterlace(frame, neighbour), panning_frames(1, num=1)[0]) < 6


@pytest.mark.parametrize("pixels", ["rgba", "argb", "bgra", "yuva420p", "yuva444p12le", "gbrap", "ya8"])
def test_alpha_is_composited_on_white(pixels: str) -> None:
    rgba = np.full((64, 64, 4), 90, np.uint8)
    rgba[..., 3] = 0
    rgba[:, 32:, 3] = 255
    frame = to_frame(rgba, "rgba").reformat(format=pixels)
    assert has_alpha(frame)
    image = to_rgb(frame, Geometry(64, 64, 1.0, UPRIGHT), (32, 32))
    assert (image[:, :15] >= 254).all()
    assert np.abs(image[:, 17:].astype(int) - 90).max() <= 3
    luma = to_thumbnail(frame)
    assert (luma[:, :30] >= 250).all()
    assert np.abs(luma[:, 34:].astype(int) - 90).max() <= 3


def test_half_transparent_colours_are_mixed_with_white() -> None:
    rgba = np.full((64, 64, 4), 100, np.uint8)
    rgba[..., 3] = 128
    image = to_rgb(to_frame(rgba, "rgba"), Geometry(64, 64, 1.0, UPRIGHT), (64, 64))
    assert np.abs(image.astype(int) - round(100 * 128 / 255 + 255 * 127 / 255)).max() <= 1


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10le", "rgb24", "gray", "nv12"])
def test_opaque_formats_have_no_alpha(pixels: str) -> None:
    assert not has_alpha(to_frame(panning_frames(0, num=1)[0]).reformat(format=pixels))


@pytest.mark.parametrize("size", [(320, 240), (640, 360), (1280, 720)])
def test_a_thumbnail_of_fine_texture_hardly_changes_where_it_moves_a_pixel(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0] + 1)).astype(np.uint8)
    noise = cv2.blur(noise, (3, 3))
    frames = [av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, i : i + size[0]]), "gray") for i in (0, 1)]
    first, second = (to_thumbnail(frame).astype(float) for frame in frames)
    single = noise[:: size[1] // 36, :: size[0] // 64].astype(float)
    flicker = np.abs(single[:, 1:] - single[:, :-1]).mean()
    assert np.abs(first - second).mean() < 0.6 * flicker
