"""A camera over a photograph: views, smooth camera paths, light, and colour grades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.demo.demo_photographs import is_grey
from mimicbrush.pictures.conversion import is_masked

Grade = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class CameraView(NamedTuple):
    """Position and direction of the camera over a photograph."""

    x: float
    """Centre in pixels of the photograph, from left to right."""
    y: float
    """Centre in pixels of the photograph, from top to bottom."""
    side: float
    """Side of the visible square, in pixels of the photograph."""
    angle: float
    """Rotation in degrees."""
    tilt_x: float
    """Perspective: change of scale from the centre to the side, as a fraction."""
    tilt_y: float
    """Perspective from top to bottom, as `tilt_x`."""


class LightChange(NamedTuple):
    """Light on the scene: brightness gain, gamma, and gain of red against blue; 1 leaves the scene unchanged."""

    gain: float
    gamma: float
    warmth: float


def homography(view: CameraView, size: int) -> NDArray[np.float64]:
    """(3, 3) homography from pixels of a (size, size) picture to pixels of the photograph."""
    to_unit = np.array([[2 / size, 0, 1 / size - 1], [0, 2 / size, 1 / size - 1], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [view.tilt_x, view.tilt_y, 1]])
    angle = np.radians(view.angle)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    half = view.side / 2
    place = np.array([[half, 0, view.x], [0, half, view.y], [0, 0, 1]])
    return place @ turn @ tilt @ to_unit


def look(photograph: NDArray[np.uint8], view: CameraView, size: int) -> NDArray[np.uint8]:
    """Render a view (size, size, 3); the photograph is mirrored beyond its edges."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = homography(view, size)
    return cv2.warpPerspective(photograph, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def look_at_mask(mask: NDArray[np.uint8], view: CameraView, size: int) -> NDArray[np.bool_]:
    """Render a view (size, size) of a mask (H, W) of 0 and 255; beyond its edges the mask is empty."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return is_masked(cv2.warpPerspective(mask, homography(view, size), (size, size), flags=flags))


def overhang(view: CameraView, height: int, width: int) -> float:
    """Distance by which a view reaches beyond the photograph, as a fraction of the view's side."""
    corners = np.array([[[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]])
    seen = cv2.perspectiveTransform(corners, homography(view, 1))[0]
    beyond = np.maximum(-seen, seen - (width, height)).max()
    return max(0.0, float(beyond)) / view.side


def random_view(height: int, width: int, generator: np.random.Generator) -> CameraView:
    """Draw a view of 40 to 70 % of the photograph's short side."""
    side = generator.uniform(0.4, 0.7) * min(height, width)
    return CameraView(
        x=generator.uniform(0, width),
        y=generator.uniform(0, height),
        side=side,
        angle=generator.uniform(-15, 15),
        tilt_x=generator.uniform(-0.12, 0.12),
        tilt_y=generator.uniform(-0.12, 0.12),
    )


def move(view: CameraView, generator: np.random.Generator) -> CameraView:
    """Draw a view of mostly the same area: moved by 10 to 33 % of its side, zoomed, rotated and tilted."""
    direction = generator.uniform(0, 2 * np.pi)
    distance = generator.uniform(0.1, 0.33) * view.side
    return CameraView(
        x=view.x + distance * np.cos(direction),
        y=view.y + distance * np.sin(direction),
        side=view.side * np.exp(generator.uniform(-0.22, 0.22)),
        angle=view.angle + generator.uniform(-16, 16),
        tilt_x=generator.uniform(-0.15, 0.15),
        tilt_y=generator.uniform(-0.15, 0.15),
    )


def random_path(height: int, width: int, generator: np.random.Generator) -> tuple[CameraView, CameraView]:
    """Draw the first and last view of a clip within the photograph; if none of 200 draws fits, the best of them."""
    draws = []
    for _ in range(200):
        first = random_view(height, width, generator)
        last = move(first, generator)
        reach = max(overhang(view, height, width) for view in (first, last))
        if reach == 0:
            return first, last
        draws.append((reach, first, last))
    return min(draws)[1:]


def along(first: NamedTuple, last: NamedTuple, num: int) -> Iterator[NamedTuple]:
    """Interpolate from one view or light to another in `num` steps, with a gentle start and stop."""
    start, end = np.array(first), np.array(last)
    for step in np.linspace(0, 1, num):
        eased = 0.5 * step + 0.5 * (1 - np.cos(np.pi * step)) / 2
        yield type(first)(*(start + eased * (end - start)))


def random_light(generator: np.random.Generator) -> LightChange:
    """Draw a light."""
    return LightChange(
        gain=generator.uniform(0.86, 1.14), gamma=generator.uniform(0.86, 1.16), warmth=generator.uniform(0.93, 1.07)
    )


def lit(image: NDArray[np.uint8], light: LightChange) -> NDArray[np.uint8]:
    """Apply a light to (H, W, 3) RGB."""
    levels = np.linspace(0, 1, 256)[:, None] ** light.gamma * light.gain
    levels = levels * (light.warmth, 1.0, 1 / light.warmth)
    table = np.clip(np.round(levels * 255), 0, 255).astype(np.uint8)[None]
    return cv2.LUT(image, np.ascontiguousarray(table))


def random_grade(photograph: NDArray[np.uint8], generator: np.random.Generator) -> Grade:
    """Draw a colour grade for a whole clip, so that its colours can be learnt only from the reference."""
    return _duotone(generator) if is_grey(photograph) else _hue_grade(generator)


def _duotone(generator: np.random.Generator) -> Grade:
    """Map grey levels to a dark, a middle and a light colour."""
    hue = generator.uniform(0, 180)
    dark = (hue + generator.uniform(-40, 40), generator.uniform(60, 200), generator.uniform(5, 45))
    middle = (hue, generator.uniform(80, 210), generator.uniform(115, 165))
    light = (hue + generator.uniform(-40, 40), generator.uniform(5, 70), generator.uniform(225, 255))
    colours = np.array([[(h % 180, s, v) for h, s, v in (dark, middle, light)]], np.uint8)
    stops = cv2.cvtColor(colours, cv2.COLOR_HSV2RGB)[0].astype(np.float64)
    levels = np.arange(256)
    table = np.stack([np.interp(levels, (0, 128, 255), stops[:, channel]) for channel in range(3)], axis=1)
    table = np.ascontiguousarray(np.round(table).astype(np.uint8)[None])
    return lambda image: cv2.LUT(image, table)


def _hue_grade(generator: np.random.Generator) -> Grade:
    """Rotate hues, change the saturation, and in one clip of five permute the channels."""
    turn = int(generator.integers(0, 180))
    saturation = generator.uniform(0.7, 1.5)
    order = generator.permutation(3) if generator.random() < 0.2 else np.arange(3)

    def grade(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        hsv = cv2.cvtColor(np.ascontiguousarray(image[..., order]), cv2.COLOR_RGB2HSV).astype(np.float32)
        hsv[..., 0] = (hsv[..., 0] + turn) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)

    return grade
