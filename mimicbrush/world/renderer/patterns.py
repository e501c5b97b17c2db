"""Patterns of two colours as functions of an object's own coordinates, with a fixed scale and phase.

A pattern returns the share of its second colour, 0 to 1, at points x, y: three to four periods fit on an object, from
-1 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer.bilinear_sampling import Coordinates, bilinear

PERIOD = 2 / 3.5
"""Length of a period in object coordinates."""
EDGE = 0.02
"""Width over which one colour turns into the other, in object coordinates: patterns are continuous."""
NOISE_SIDE = 128
"""Samples per side of the noise field, which repeats."""
NOISE_DENSITY = 24.0
"""Samples of noise per unit of object coordinates."""


class Pattern(NamedTuple):
    """A way in which two colours alternate."""

    share: Callable[[Coordinates, Coordinates], Coordinates]
    """Share of the second colour at points x, y."""
    num_colours: int = 2
    is_stochastic: bool = False
    """Whether the pattern is drawn by a seed, so that the same words describe different pictures."""


def _soft(distance: Coordinates) -> Coordinates:
    """Turn a signed distance to an edge, positive where the second colour is, into its share."""
    return np.clip(0.5 + distance / EDGE, 0, 1)


def _band(at: Coordinates, period: float = PERIOD) -> Coordinates:
    """Signed distance to the edge of bands of equal width, positive in every second one; 0 is in the middle of one."""
    return period * (0.25 - np.abs(np.mod(at / period, 1) - 0.5))


def _zigzag_of(at: Coordinates, period: float) -> Coordinates:
    """Triangle wave from -1 to 1."""
    return 4 * np.abs(np.mod(at / period, 1) - 0.5) - 1


def _crossed(first: Coordinates, second: Coordinates) -> Coordinates:
    """Signed distance to the edges of a checkerboard made of two sets of bands."""
    return np.maximum(np.minimum(first, -second), np.minimum(-first, second))


def _plain(x: Coordinates, y: Coordinates) -> Coordinates:
    return np.zeros_like(x)


def _striped(x: Coordinates, y: Coordinates) -> Coordinates:
    return _soft(_band(x))


def _checkered(x: Coordinates, y: Coordinates) -> Coordinates:
    return _soft(_crossed(_band(x, 1.4 * PERIOD), _band(y, 1.4 * PERIOD)))


def _dotted(x: Coordinates, y: Coordinates) -> Coordinates:
    """Dots in rows, every second row shifted by half a period."""
    spacing = 0.9 * PERIOD
    row = np.round(y / (0.87 * spacing))
    across = x / spacing + 0.5 * np.mod(row, 2)
    distance = np.hypot((across - np.round(across)) * spacing, y - row * 0.87 * spacing)
    return _soft(0.29 * spacing - distance)


def _zigzag(x: Coordinates, y: Coordinates) -> Coordinates:
    return _soft(0.75 * _band(y + 0.14 * _zigzag_of(x, PERIOD)))


def _wavy(x: Coordinates, y: Coordinates) -> Coordinates:
    # Diagonal, so that waves differ from zigzags where few pixels show them.
    along, across = 0.75 * x + 0.66 * y, 0.75 * y - 0.66 * x
    return _soft(0.8 * _band(across + 0.11 * np.sin(2 * np.pi * along / (1.3 * PERIOD))))


def _ringed(x: Coordinates, y: Coordinates) -> Coordinates:
    return _soft(_band(np.hypot(x, y)))


def _scaly(x: Coordinates, y: Coordinates) -> Coordinates:
    """Overlapping scales, each a disc whose rim has the second colour; lower rows lie behind."""
    spacing = 0.85 * PERIOD
    share = np.zeros_like(x)
    upper_row = np.floor(y / (0.5 * spacing))
    for step in (1, 0, -1):
        row = upper_row - step
        across = x / spacing + 0.5 * np.mod(row, 2)
        distance = np.hypot((across - np.round(across)) * spacing, y - row * 0.5 * spacing)
        inside, rim = _soft(0.56 * spacing - distance), _soft(distance - 0.4 * spacing)
        share = share + inside * (rim - share)
    return share


def _marbled(x: Coordinates, y: Coordinates) -> Coordinates:
    warped = x + 0.5 * y + 0.42 * _noise(x, y) + 0.1 * _noise(2.3 * x + 1.7, 2.3 * y)
    vein = np.abs(_zigzag_of(warped, 1.6 * PERIOD))
    return np.clip(1.15 - 2.6 * vein, 0, 1) + 0.25 * np.clip(_noise(x + 3, y), 0, 1) * np.clip(2.6 * vein - 0.15, 0, 1)


@lru_cache(maxsize=1)
def _noise_field() -> NDArray[np.float32]:
    """Smooth noise (NOISE_SIDE + 1, NOISE_SIDE + 1, 1) with a standard deviation of 0.5, which repeats."""
    white = np.random.default_rng(2404).standard_normal((NOISE_SIDE, NOISE_SIDE)).astype(np.float32)
    margin = 32
    smooth = cv2.GaussianBlur(np.pad(white, margin, mode="wrap"), (0, 0), 4.0)[margin:-margin, margin:-margin]
    return np.pad(0.5 * smooth / smooth.std(), (0, 1), mode="wrap")[..., None]


def _noise(x: Coordinates, y: Coordinates) -> NDArray[np.float32]:
    return bilinear(_noise_field(), *(np.mod(at * NOISE_DENSITY, NOISE_SIDE) for at in (x, y)))[..., 0]


PATTERNS = {
    "plain": Pattern(_plain, num_colours=1),
    "striped": Pattern(_striped),
    "checkered": Pattern(_checkered),
    "dotted": Pattern(_dotted),
    "zigzag": Pattern(_zigzag),
    "wavy": Pattern(_wavy),
    "ringed": Pattern(_ringed),
    "scaly": Pattern(_scaly),
    "marbled": Pattern(_marbled, is_stochastic=True),
}
"""All patterns by the adjective that a caption uses."""
