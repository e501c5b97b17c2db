"""Photographs whose object is known: a disc of one colour on noise of another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

SIZE = (160, 140)
"""Width and height."""
DISC = (70, 75, 30)
"""Centre and radius."""


def disc_mask(size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W), true on the disc."""
    x, y, radius = DISC
    return cv2.circle(np.zeros(size[::-1], np.uint8), (x, y), radius, 1, -1).astype(bool)


def write_photograph(path: Path, *, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    """A red disc on blue noise, different for every seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (size[1], size[0], 3), np.uint8)
    pixels[..., 2] += 120
    pixels[disc_mask(size)] = rng.integers(200, 255, 3) * np.array([1, 0.3, 0.2])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


@pytest.fixture
def make_photographs(tmp_path: Path) -> Callable[..., Path]:
    """make_photographs("dog/00.jpg", ...): a folder of such photographs."""

    def make(*files: str, folder: str = "photographs") -> Path:
        for seed, file in enumerate(files):
            write_photograph(tmp_path / folder / file, seed=seed)
        return tmp_path / folder

    return make
