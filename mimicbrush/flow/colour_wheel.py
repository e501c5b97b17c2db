"""Flow as colours: the direction is the hue, the length the saturation (Baker et al., Middlebury, 2007), with a key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HUES = (
    ((255, 0, 0), 15),
    ((255, 255, 0), 6),
    ((0, 255, 0), 4),
    ((0, 255, 255), 11),
    ((0, 0, 255), 13),
    ((255, 0, 255), 6),
)
"""Corners of the wheel from red by yellow, green, cyan, blue and magenta, each with its steps to the next corner."""
BEYOND = 0.75
"""Brightness of flow that is longer than the longest one of the scale."""


def colour_wheel() -> NDArray[np.float64]:
    """The colours around the wheel, (55, 3) in 0 to 255."""
    parts = []
    for (corner, steps), (following, _) in zip(HUES, (*HUES[1:], HUES[0]), strict=True):
        share = np.arange(steps)[:, None] / steps
        rising = np.floor(255 * share)
        change = np.sign(np.subtract(following, corner))
        parts.append(np.asarray(corner) + change * rising)
    return np.concatenate(parts)


def colour_flow(flow: NDArray[np.floating], *, longest: float | None = None) -> NDArray[np.uint8]:
    """Colour a flow field (2, H, W) in pixels as RGB (H, W, 3); no flow is white.

    longest: length in pixels that has full saturation, by default the longest of the field. Longer flow is darker, and
    what is not finite is black.
    """
    is_known = np.isfinite(flow).all(axis=0)
    right, down = np.where(is_known, flow, 0).astype(np.float64)
    length = np.hypot(right, down)
    length = length / max(length.max() if longest is None else longest, np.finfo(float).eps)
    wheel = colour_wheel()
    place = (np.arctan2(-down, -right) / np.pi + 1) / 2 * (len(wheel) - 1)
    lower = np.floor(place).astype(int)
    hue = wheel[lower] + (place - lower)[..., None] * (wheel[(lower + 1) % len(wheel)] - wheel[lower])
    pale = 255 - length[..., None] * (255 - hue)
    colours = np.where(length[..., None] <= 1 + 1e-9, pale, BEYOND * hue)
    return np.floor(np.where(is_known[..., None], colours, 0) + 1e-9).astype(np.uint8)


def colour_key(side: int) -> NDArray[np.uint8]:
    """Draw the key of `colour_flow`: a disc (side, side, 3) in which each point has the colour of the flow to it."""
    middle = (side - 1) / 2
    down, right = (np.indices((side, side)) - middle) / max(middle, 1)
    colours = colour_flow(np.stack([right, down]), longest=1.0)
    return np.where((np.hypot(right, down) <= 1)[..., None], colours, np.uint8(255))
