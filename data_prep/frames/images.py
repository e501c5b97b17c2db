"""Encode pictures for shards and reports, and resize them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.config import EncodeConfig
from mimicbrush.pictures.writing import encode_jpeg, encode_webp
from mimicbrush.video.decoded_clip import Frame, fit_size

EXAMPLE_HEIGHT = 144
"""Height of example pictures in pixels."""
EXAMPLE_GAP = 4
"""Width of the white line between the frames of an example, in pixels."""


def encode_image(image: NDArray[np.uint8], config: EncodeConfig) -> bytes:
    """Encode (H, W, 3) RGB in the configured format and quality."""
    encode = encode_webp if config.image_format == "webp" else encode_jpeg
    return encode(image, quality=config.quality)


def encode_strip(images: Sequence[NDArray[np.uint8]]) -> bytes:
    """Join pictures (H, W, 3) side by side into one small JPEG for the report."""
    line = np.full((EXAMPLE_HEIGHT, EXAMPLE_GAP, 3), 255, np.uint8)
    parts = [part for image in images for part in (line, scale_to_height(image, EXAMPLE_HEIGHT))]
    return encode_jpeg(np.concatenate(parts[1:], axis=1), quality=75, halve_chroma=True)


def to_grey(image: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Convert (H, W, 3) RGB to (h, w) luma with a short side of at most `short_side`, averaged, never enlarged."""
    return shrink(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), short_side)


class GreyFrames:
    """Grey versions of a clip's frames, each made once. Frames of one time differ in shape if one was cropped."""

    def __init__(self) -> None:
        self._greys: dict[tuple[float, tuple, int], NDArray[np.uint8]] = {}

    def at(self, frame: Frame, short_side: int) -> NDArray[np.uint8]:
        """The frame as `to_grey` converts it."""
        key = frame.time, frame.image.shape, short_side
        if key not in self._greys:
            self._greys[key] = to_grey(frame.image, short_side)
        return self._greys[key]


def scale_to_height(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) to (height, w, 3), keeping the aspect ratio."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def shrink(image: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Resize (H, W) or (H, W, 3) to a short side of at most `short_side`, averaged, never enlarged."""
    height, width = image.shape[:2]
    size = fit_size((width, height), short_side)
    return image if size == (width, height) else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def correlate(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation of the levels of two pictures of one shape; about 0 if one of them is flat."""
    first, second = (levels - levels.mean(dtype=np.float32) for levels in (first, second))
    return float((first * second).sum() / (np.sqrt((first**2).sum() * (second**2).sum()) + 1e-3))
