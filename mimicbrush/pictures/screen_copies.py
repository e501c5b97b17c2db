"""Pictures as a browser shows them: scaled down, with 8 bits a channel, encoded as WebP."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.files import whole
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.decoding import EncodedPicture, colour_profile
from mimicbrush.pictures.geometry import place
from mimicbrush.pictures.headers import naming_file

QUALITY = 88
"""Quality of WebP, 1 to 100, at which no difference is seen on a screen."""

LOSSLESS_PIXELS = 2**17
"""Largest number of pixels of a picture that is encoded without loss, because its pixels are seen one by one."""


class ScreenCopy(NamedTuple):
    """A picture for a screen."""

    levels: NDArray[np.uint8]
    """(h, w, C): grey (C = 1), RGB (3), or RGB and alpha (4)."""
    icc_profile: bytes | None = None

    def encode(self, quality: int | None = None) -> bytes:
        """Encode as WebP, which takes a tenth of the time and of the bytes of PNG.

        quality: 1 to 100; None: QUALITY, or lossless if the picture has at most LOSSLESS_PIXELS.
        """
        image, encoded = to_pil(self.levels), io.BytesIO()
        is_lossless = quality is None and image.width * image.height <= LOSSLESS_PIXELS
        options = {"lossless": True, "method": 0} if is_lossless else {"method": 2}
        image.save(encoded, "WEBP", quality=quality or QUALITY, icc_profile=self.icc_profile, **options)
        return encoded.getvalue()

    def write(self, path: Path) -> Path:
        """Write as WebP; return the path."""
        with whole(path) as partial:
            partial.write_bytes(self.encode())
        return path


def read_screen_copy(path: Path, side: int) -> ScreenCopy:
    """Read a picture, upright, with a longer side of at most `side` pixels; raises UserError if it is not a picture."""
    with naming_file(path):
        picture = EncodedPicture(path.read_bytes())
        width, height = picture.upright_size
        fitting = place(height, width, min(side, max(width, height)))
        levels = picture.decode(at_least=(fitting.width, fitting.height))
        return ScreenCopy(_eight_bits(shrink_levels(levels, side)), colour_profile(picture.image))


def shrink_levels(levels: NDArray, side: int) -> NDArray:
    """Scale (H, W, C) down to a longer side of at most `side` pixels."""
    height, width = levels.shape[:2]
    if max(height, width) > side:
        fitting = place(height, width, side)
        scaled = cv2.resize(levels, (fitting.width, fitting.height), interpolation=cv2.INTER_AREA)
        levels = scaled if scaled.ndim == 3 else scaled[..., None]
    return levels


def _eight_bits(levels: NDArray) -> NDArray[np.uint8]:
    return levels if levels.dtype == np.uint8 else ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
