"""Photographic textures and background photographs, stored at several sizes so that views of them do not alias."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.pictures.reading import read_rgb
from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS, read_skimage_photograph
from mimicbrush.video.decoded_clip import fit_size
from mimicbrush.world.renderer.bilinear_sampling import Coordinates, bilinear, reflected

SMALLEST_SIDE = 16
"""Side in pixels of the smallest stored size."""
MAX_SIDE = 512
"""Short side in pixels to which a user's picture is averaged."""
FILE_UNITS = 4.0
"""Short side of a user's picture in object coordinates: an object shows a quarter of a square picture."""


class Texture(NamedTuple):
    """A photographed surface."""

    photograph: str
    """Name in `SKIMAGE_PHOTOGRAPHS`."""
    unit: float
    """Pixels of the photograph per unit of object coordinates."""
    tint: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
    """Colours of black and of white in a grey photograph; None: the photograph's own colours."""
    crop: tuple[float, float, float, float] = (0, 0, 1, 1)
    """The part that shows the surface: left, top, right and bottom as fractions of the photograph."""
    quarter_turns: int = 0
    """Rotation of the photograph in quarters, counter-clockwise."""


TEXTURES = {
    "brick": Texture("brick", 150, tint=((84, 26, 16), (240, 166, 136)), quarter_turns=1),
    "grass": Texture("grass", 110, tint=((12, 34, 8), (176, 214, 96))),
    "gravel": Texture("gravel", 100, tint=((24, 22, 20), (226, 220, 210))),
    "galaxy": Texture("hubble_deep_field", 130),
    "wooden": Texture("coffee", 60, crop=(0.83, 0.3, 1.0, 1.0)),
    "furry": Texture("chelsea", 42, crop=(0.42, 0.0, 0.68, 0.26)),
}
"""Surfaces by the words that captions use; objects and backgrounds can be made of them."""

BACKGROUND_PHOTOGRAPHS = tuple(name for name in SKIMAGE_PHOTOGRAPHS if name not in {*TEXTURES, "text"})
"""Photographs of scenes, which serve as backgrounds alone."""


def is_held_out(name: str) -> bool:
    """Whether a texture or photograph shows a photograph that no training may see."""
    photograph = TEXTURES[name].photograph if name in TEXTURES else name
    return SKIMAGE_PHOTOGRAPHS[photograph].is_held_out


def sample_texture(
    name: str, x: Coordinates, y: Coordinates, *, step: float, seed: int = 0, file: Path | None = None
) -> NDArray[np.float32]:
    """Sample (*shape, 3) of a texture or photograph, which is mirrored beyond its edges.

    A texture, also one in a picture file, has its own scale, and the seed chooses the place at the origin. A background
    photograph fills the square from -1 to 1 with its middle, for every seed. step: distance of neighbouring samples in
    x and y.
    """
    levels = _levels(name, file)
    height, width = levels[0].shape[:2]
    if name in BACKGROUND_PHOTOGRAPHS and not file:
        unit, centre = min(height, width) / 2, np.array([width, height]) / 2
    else:
        unit = TEXTURES[name].unit if not file else min(height, width) / FILE_UNITS
        centre = np.random.default_rng(seed).uniform(0.25, 0.75, 2) * (width, height)
    # The stored size whose pixels are nearest to the distance of samples, but not larger.
    image = levels[min(len(levels) - 1, max(0, int(np.floor(np.log2(max(step * unit, 1))))))]
    columns = reflected((x * unit + centre[0]) * (image.shape[1] / width) - 0.5, image.shape[1])
    rows = reflected((y * unit + centre[1]) * (image.shape[0] / height) - 0.5, image.shape[0])
    return bilinear(image, columns, rows)


@lru_cache(maxsize=64)
def _levels(name: str, file: Path | None) -> list[NDArray[np.float32]]:
    """(H, W, 3) in [0, 1], then half of it, and so on."""
    levels = [_read(file) if file else _load(name)]
    while min(levels[-1].shape[:2]) >= 2 * SMALLEST_SIDE:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return levels


def _read(file: Path) -> NDArray[np.float32]:
    """Read a user's picture of a surface, averaged to a short side of at most MAX_SIDE."""
    pixels = read_rgb(file)
    size = fit_size((pixels.shape[1], pixels.shape[0]), MAX_SIDE)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _load(name: str) -> NDArray[np.float32]:
    """Load a texture or photograph that scikit-image ships."""
    texture = TEXTURES.get(name, Texture(name, 1))
    pixels = read_skimage_photograph(texture.photograph).astype(np.float32) / 255
    height, width = pixels.shape[:2]
    left, top, right, bottom = (
        round(share * side) for share, side in zip(texture.crop, (width, height, width, height), strict=True)
    )
    pixels = np.rot90(pixels[top:bottom, left:right], texture.quarter_turns)
    if texture.tint:
        dark, light = (np.array(colour, np.float32) / 255 for colour in texture.tint)
        grey = pixels.mean(axis=2, keepdims=True)
        low, high = np.percentile(grey, (1, 99))
        pixels = dark + np.clip((grey - low) / (high - low), 0, 1) * (light - dark)
    return np.ascontiguousarray(pixels, np.float32)
