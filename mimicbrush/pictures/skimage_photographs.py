"""The photographs that scikit-image ships, with their licences, and which of them no training may see."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from numpy.typing import NDArray

from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_rgb


class SkimagePhotograph(NamedTuple):
    """A file that scikit-image ships, and the licence that its documentation states."""

    file: str
    licence: str
    is_held_out: bool = False
    """Whether it is kept for evaluation: no network of the project is trained on it."""


PUBLIC_DOMAIN, CC0, UNRESTRICTED = "public domain", "CC0", "no known restrictions"
DISTRIBUTED = "as distributed by scikit-image"
"""scikit-image's documentation states at most an origin for these, and no licence."""

SKIMAGE_PHOTOGRAPHS = {
    "astronaut": SkimagePhotograph("astronaut.png", PUBLIC_DOMAIN),
    "brick": SkimagePhotograph("brick.png", CC0),
    "camera": SkimagePhotograph("camera.png", CC0, is_held_out=True),
    "chelsea": SkimagePhotograph("chelsea.png", CC0, is_held_out=True),
    "coffee": SkimagePhotograph("coffee.png", CC0, is_held_out=True),
    "coins": SkimagePhotograph("coins.png", UNRESTRICTED),
    "grass": SkimagePhotograph("grass.png", CC0),
    "gravel": SkimagePhotograph("gravel.png", CC0, is_held_out=True),
    "hubble_deep_field": SkimagePhotograph("hubble_deep_field.jpg", PUBLIC_DOMAIN),
    "ihc": SkimagePhotograph("ihc.png", UNRESTRICTED),
    "moon": SkimagePhotograph("moon.png", DISTRIBUTED),
    "motorcycle_left": SkimagePhotograph("motorcycle_left.png", DISTRIBUTED),
    "motorcycle_right": SkimagePhotograph("motorcycle_right.png", DISTRIBUTED),
    "page": SkimagePhotograph("page.png", DISTRIBUTED),
    "retina": SkimagePhotograph("retina.jpg", CC0, is_held_out=True),
    "rocket": SkimagePhotograph("rocket.jpg", PUBLIC_DOMAIN, is_held_out=True),
    "text": SkimagePhotograph("text.png", PUBLIC_DOMAIN),
}


def read_skimage_photograph(name: str) -> NDArray[np.uint8]:
    """Read (H, W, 3) RGB; raises UserError if the installed scikit-image lacks the photograph."""
    path = Path(skimage.__file__).parent / "data" / SKIMAGE_PHOTOGRAPHS[name].file
    if not path.is_file():
        raise UserError(f"{path}: not in this scikit-image {skimage.__version__}; install scikit-image from PyPI")
    return read_rgb(path)
