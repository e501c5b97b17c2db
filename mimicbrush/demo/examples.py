"""Example edits, with photographs from the scikit-image package, and pictures of what they show.

`python -m mimicbrush.demo.example_results` makes the expected results again, for instance after new weights.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

from mimicbrush.demo.strokes import PaintedPicture, Stroke, draw_mask
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_rgb
from mimicbrush.pictures.writing import write_image

RESULTS = resources.files("mimicbrush") / "assets" / "examples"
"""Folder of the expected results."""
PANEL = 240
"""Height in pixels of the pictures that a thumbnail joins."""
MASK_COLOUR, MASK_OPACITY = (255, 220, 0), 0.5

Photograph = Callable[[], NDArray[np.uint8]]


class ReferenceExample(NamedTuple):
    """An example edit from a reference; strokes are in pixels of the source, the box in pixels of the reference."""

    name: str
    """Name of the file with the expected result, without suffix."""
    title: str
    source: Photograph
    strokes: tuple[Stroke, ...]
    reference: Photograph
    box: tuple[int, int, int, int] | None = None
    keep_shape: bool = False
    crop_to_mask: bool = False


class MotionExample(NamedTuple):
    """An example of a moved object; the motion in words."""

    name: str
    title: str
    source: Photograph
    strokes: tuple[Stroke, ...]
    motion: str


def _mirrored_cat() -> NDArray[np.uint8]:
    return skimage.data.chelsea()[:, ::-1]


def _brush(size: float, *points: tuple[float, float]) -> tuple[Stroke, ...]:
    return (Stroke(tool="brush", size=size, points=list(points)),)


REFERENCE_EXAMPLES = (
    ReferenceExample(
        "eye",
        "Eye after its mirror image",
        skimage.data.chelsea,
        _brush(84, (165, 115), (180, 113)),
        _mirrored_cat,
        crop_to_mask=True,
    ),
    ReferenceExample(
        "saucer",
        "Saucer after cat fur",
        skimage.data.coffee,
        _brush(70, (150, 240), (180, 300), (260, 345), (340, 330), (400, 270), (415, 210)),
        skimage.data.chelsea,
        box=(100, 30, 330, 250),
        keep_shape=True,
    ),
)

MOTION_EXAMPLES = (
    MotionExample(
        "rocket", "Rocket takes off", skimage.data.rocket, _brush(44, (321, 148), (321, 384)), "translate 0 -90"
    ),
    MotionExample("coin", "Coin turns and grows", skimage.data.coins, _brush(58, (211, 193)), "scale 1.3; rotate 40"),
)


def write_source(example: ReferenceExample | MotionExample, folder: Path) -> PaintedPicture:
    """Write the source, and return it as if a visitor had uploaded and painted it."""
    write_image(_colour(example.source()), folder / "source.png")
    return PaintedPicture(picture=folder / "source.png", strokes=example.strokes)


def write_reference(example: ReferenceExample, folder: Path) -> PaintedPicture:
    """Write the reference, and return it as if a visitor had uploaded and cropped it."""
    write_image(_colour(example.reference()), folder / "reference.png")
    corners = [] if example.box is None else [(example.box[:2], example.box[2:])]
    boxes = tuple(Stroke(tool="box", points=list(pair)) for pair in corners)
    return PaintedPicture(picture=folder / "reference.png", strokes=boxes)


def thumbnail(example: ReferenceExample | MotionExample) -> Image.Image:
    """Join what an example shows: the painted source, the chosen part of the reference, the expected result."""
    shown = [_painted(example)]
    if isinstance(example, ReferenceExample):
        shown.append(to_pil(_colour(example.reference())).crop(example.box))
    result = RESULTS / f"{example.name}.webp"
    if result.is_file():
        shown.append(to_pil(read_rgb(result)))
    scaled = [each.resize((round(each.width * PANEL / each.height), PANEL)) for each in shown]
    joined = Image.new("RGB", (sum(each.width for each in scaled), PANEL))
    left = 0
    for each in scaled:
        joined.paste(each, (left, 0))
        left += each.width
    return joined


def _painted(example: ReferenceExample | MotionExample) -> Image.Image:
    source = to_pil(_colour(example.source()))
    mask = draw_mask(example.strokes, source.size).point(lambda level: round(MASK_OPACITY * level))
    return Image.composite(Image.new("RGB", source.size, MASK_COLOUR), source, mask)


def _colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
