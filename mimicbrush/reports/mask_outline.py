"""The outline of a mask, drawn on its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.mask_geometry import grow

OUTLINE = (255, 0, 160)


def outline_mask(picture: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """Draw a line around a mask (H, W) on an RGB picture, outside the mask and wide enough for thumbnails."""
    pixels = np.array(picture)
    width = max(1, max(mask.shape) // 100)
    pixels[grow(mask, width) & ~mask] = OUTLINE
    return to_pil(pixels)
