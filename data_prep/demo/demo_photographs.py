"""The demo's photographs: those that are trained on, and held-out ones with named regions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import shrink
from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS, read_skimage_photograph

SHORT_SIDE = 512
"""Short side in pixels to which larger photographs are averaged, so that views of them do not alias."""

Point = tuple[float, float]
"""x and y as fractions of a photograph's width and height."""


@dataclass(frozen=True, kw_only=True)
class NamedRegion:
    """A part of a photograph that a person would name."""

    name: str
    """Name of the region, for prompts."""
    polygon: tuple[Point, ...]
    """Corners of the region."""


class DemoPhotograph(NamedTuple):
    """A photograph of scikit-image, and how the demo uses it."""

    name: str
    """Name in `SKIMAGE_PHOTOGRAPHS`."""
    regions: tuple[NamedRegion, ...] = ()

    @property
    def has_objects(self) -> bool:
        """Whether graph segmentation finds objects in it, rather than texture alone."""
        return self.name in WITH_OBJECTS

    @property
    def file(self) -> str:
        """Name of the file."""
        return SKIMAGE_PHOTOGRAPHS[self.name].file

    @property
    def licence(self) -> str:
        """Licence that scikit-image's documentation states."""
        return SKIMAGE_PHOTOGRAPHS[self.name].licence


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> tuple[Point, ...]:
    angles = (2 * math.pi * step / 48 for step in range(48))
    return tuple((x + radius_x * math.cos(angle), y + radius_y * math.sin(angle)) for angle in angles)


WITH_OBJECTS = {"astronaut", "coins", "ihc", "motorcycle_left", "motorcycle_right"}
"""Photographs in which graph segmentation finds objects."""

REGIONS: dict[str, tuple[NamedRegion, ...]] = {
    "camera": (
        NamedRegion(
            name="a dark coat",
            polygon=(
                (0.10, 0.36), (0.22, 0.22), (0.30, 0.21), (0.34, 0.36), (0.38, 0.43), (0.55, 0.44),
                (0.56, 0.52), (0.50, 0.60), (0.40, 0.58), (0.30, 0.76), (0.12, 0.80), (0.02, 0.72), (0.02, 0.50),
            ),
        ),
        NamedRegion(
            name="a man's face",
            polygon=(
                (0.32, 0.20), (0.36, 0.14), (0.45, 0.12), (0.52, 0.19), (0.51, 0.26), (0.49, 0.36), (0.42, 0.39),
                (0.35, 0.33),
            ),
        ),
    ),
    "chelsea": (
        NamedRegion(
            name="tabby cat fur",
            polygon=(
                (0.22, 0.14), (0.40, 0.06), (0.58, 0.08), (0.76, 0.25), (0.79, 0.48), (0.72, 0.70), (0.62, 0.88),
                (0.50, 0.86), (0.36, 0.72), (0.26, 0.55), (0.20, 0.34),
            ),
        ),
        NamedRegion(name="a cat's eye", polygon=_ellipse(0.38, 0.385, 0.10, 0.125)),
    ),
    "coffee": (
        NamedRegion(
            name="a cup of coffee",
            polygon=(
                (0.285, 0.24), (0.32, 0.12), (0.40, 0.06), (0.50, 0.045), (0.60, 0.08), (0.67, 0.17), (0.68, 0.28),
                (0.65, 0.42), (0.60, 0.53), (0.50, 0.59), (0.40, 0.56), (0.32, 0.45),
            ),
        ),
        NamedRegion(name="a red saucer", polygon=_ellipse(0.465, 0.58, 0.33, 0.385)),
    ),
    "gravel": (
        NamedRegion(name="gravel", polygon=_ellipse(0.45, 0.48, 0.18, 0.15)),
        NamedRegion(
            name="grey stones",
            polygon=(
                (0.36, 0.40), (0.50, 0.34), (0.66, 0.42), (0.70, 0.56), (0.58, 0.60), (0.56, 0.72), (0.42, 0.70),
                (0.34, 0.56),
            ),
        ),
    ),
    "retina": (
        NamedRegion(name="the back of an eye", polygon=_ellipse(0.52, 0.50, 0.26, 0.26)),
        NamedRegion(
            name="red blood vessels",
            polygon=(
                (0.26, 0.22), (0.42, 0.09), (0.60, 0.10), (0.76, 0.20), (0.82, 0.33), (0.62, 0.35), (0.44, 0.28),
                (0.28, 0.34),
            ),
        ),
    ),
    "rocket": (
        NamedRegion(
            name="a white rocket",
            polygon=((0.49, 0.30), (0.515, 0.30), (0.535, 0.37), (0.54, 0.95), (0.465, 0.95), (0.47, 0.37)),
        ),
        NamedRegion(
            name="launch pad lights",
            polygon=(
                (0.14, 0.86), (0.24, 0.78), (0.40, 0.84), (0.44, 0.70), (0.57, 0.70), (0.60, 0.82), (0.70, 0.84),
                (0.76, 0.97), (0.14, 0.97),
            ),
        ),
    ),
}  # fmt: skip
"""Named regions of the held-out photographs."""

HELD_OUT = {name: DemoPhotograph(name, regions) for name, regions in REGIONS.items()}
TRAIN = {name: DemoPhotograph(name) for name, photograph in SKIMAGE_PHOTOGRAPHS.items() if not photograph.is_held_out}


@lru_cache(maxsize=4)
def load(photograph: DemoPhotograph) -> NDArray[np.uint8]:
    """Load (H, W, 3) RGB with a short side of at most 512; raises UserError if scikit-image lacks the photograph."""
    return shrink(read_skimage_photograph(photograph.name), SHORT_SIDE)


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether a photograph is grey."""
    return bool(np.ptp(image.astype(np.int16), axis=2).max() <= 2)


def region_mask(region: NamedRegion, height: int, width: int) -> NDArray[np.uint8]:
    """Draw the mask (H, W) of a region: 255 inside, 0 outside."""
    corners = np.array([(x * width, y * height) for x, y in region.polygon], np.float32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask
