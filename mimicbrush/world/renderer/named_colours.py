"""The colours of the small world, by the words that captions use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS = {
    "red": (214, 45, 48),
    "orange": (244, 132, 38),
    "yellow": (250, 205, 50),
    "green": (62, 158, 72),
    "teal": (38, 166, 160),
    "blue": (44, 98, 201),
    "purple": (128, 66, 168),
    "pink": (243, 130, 176),
    "brown": (128, 82, 48),
    "black": (38, 38, 44),
    "grey": (136, 140, 148),
    "white": (236, 234, 228),
}
"""Levels of red, green and blue from 0 to 255."""

WALL_COLOURS = {
    "cream": (238, 226, 200),
    "sky-blue": (178, 208, 232),
    "sage": (172, 190, 160),
    "rose": (226, 186, 184),
    "slate": (84, 96, 112),
    "screen-green": (0, 177, 64),
}
"""Further colours, of backgrounds alone."""

PARTNERS = {
    "red": "white",
    "orange": "blue",
    "yellow": "purple",
    "green": "white",
    "teal": "black",
    "blue": "yellow",
    "purple": "pink",
    "pink": "white",
    "brown": "orange",
    "black": "yellow",
    "grey": "red",
    "white": "black",
}
"""The second colour of a pattern of which only the first is named."""


def rgb_of(colour: str) -> NDArray[np.float32]:
    """Red, green and blue in [0, 1] of a colour of either list."""
    return np.array((COLOURS | WALL_COLOURS)[colour], np.float32) / 255
