"""A mask shown on its picture."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from mimicbrush.pictures.conversion import to_pil

OUTLINE = (255, 0, 160)


def outlined(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The RGB picture with a line around the mask, wide enough to survive shrinking."""
    pixels = np.array(picture)
    inside = np.array(mask) > 127
    width = max(1, max(inside.shape) // 100)
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    pixels[(cv2.dilate(inside.astype(np.uint8), window) > 0) & ~inside] = OUTLINE
    return to_pil(pixels)
