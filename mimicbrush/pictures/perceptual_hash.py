"""Perceptual hashes: pictures that look alike have hashes that differ in few bits, also if scaled or encoded anew."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_CONTRAST = 6.0
"""Smallest standard deviation of a hashed picture, in grey levels; flatter ones all look alike."""
MAX_DISTANCE = 5
"""Largest number of bits, of 64, by which two hashes of one picture may differ."""
THRESHOLDS = np.arange(8, 256, 16)
"""Thresholds of a cell's mean colour, for each channel of Lab; grey, at 128, lies between two."""
CHANNEL_SALTS = (0x00, 0x3C, 0x66)
"""Bytes by which the words of the channels differ where their levels are equal, also if one of them is inverted."""


def perceptual_hash(luma: NDArray[np.uint8]) -> str:
    """Hash a (H, W) grey picture as pHash does: a bit for each of the 64 lowest frequencies, 1 if above their median.

    Returns 16 hexadecimal digits.
    """
    square = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = cv2.dct(square)[:8, :8].ravel()
    bits = lowest > np.median(lowest[1:])
    return np.packbits(bits).tobytes().hex()


def hash_parts(luma: NDArray[np.uint8]) -> list[str | None]:
    """Hash a (H, W) grey picture and its four quarters; None for a part without contrast."""
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    parts = [luma, luma[:rows, :columns], luma[:rows, columns:], luma[rows:, :columns], luma[rows:, columns:]]
    return [perceptual_hash(part) if part.std() >= MIN_CONTRAST else None for part in parts]


def hash_colours(image: NDArray[np.uint8]) -> list[str]:
    """Hash a (H, W, 3) RGB picture: its luma, whole and in quarters, and the mean colours of its quarters.

    In each channel of Lab, a quarter has a bit for each threshold that its mean exceeds, which tells apart things of
    one shape and different colours, and plain colours. Luma parts without contrast are left out.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    means = cv2.resize(lab, (2, 2), interpolation=cv2.INTER_AREA)
    levels = (means[..., None] > THRESHOLDS).transpose(2, 0, 1, 3)
    words = [(np.packbits(each) ^ salt).astype(np.uint8) for each, salt in zip(levels, CHANNEL_SALTS, strict=True)]
    parts = hash_parts(np.ascontiguousarray(lab[..., 0]))
    return [*filter(None, parts), *(word.tobytes().hex() for word in words)]


def invert(word: str) -> str:
    """Invert every bit of a hash."""
    return f"{~int(word, 16) % 2**64:016x}"


def distance(first: str, second: str) -> int:
    """Number of bits by which two hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()
