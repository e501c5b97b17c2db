"""Example edits, with photographs from the scikit-image package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from numpy.typing import NDArray

from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.pictures.writing import write_image

Photograph = Callable[[], NDArray[np.uint8]]


class Example(NamedTuple):
    """An example edit; strokes are in pixels of the source, the box in pixels of the reference."""

    title: str
    source: Photograph
    strokes: tuple[Stroke, ...]
    reference: Photograph
    box: tuple[int, int, int, int] | None = None
    keep_shape: bool = False
    crop_to_mask: bool = False


def _mirrored_cat() -> NDArray[np.uint8]:
    return skimage.data.chelsea()[:, ::-1]


def _brush(size: float, *points: tuple[float, float]) -> tuple[Stroke, ...]:
    return (Stroke(tool="brush", size=size, points=list(points)),)


EXAMPLES = (
    Example(
        "Eye after its mirror image",
        skimage.data.chelsea,
        _brush(84, (165, 115), (180, 113)),
        _mirrored_cat,
        crop_to_mask=True,
    ),
    Example(
        "Saucer after cat fur",
        skimage.data.coffee,
        _brush(70, (150, 240), (180, 300), (260, 345), (340, 330), (400, 270), (415, 210)),
        skimage.data.chelsea,
        box=(100, 30, 330, 250),
        keep_shape=True,
    ),
    Example(
        "Gravel after grass",
        skimage.data.gravel,
        _brush(120, (170, 260), (260, 220), (350, 280)),
        skimage.data.grass,
    ),
    Example(
        "Suit after bricks",
        skimage.data.astronaut,
        _brush(90, (110, 330), (90, 440)),
        skimage.data.brick,
        keep_shape=True,
    ),
)


def write_example(example: Example, folder: Path) -> tuple[PaintedPicture, PaintedPicture]:
    """Write source and reference, and return them as if a visitor had uploaded and painted them."""
    source, reference = folder / "source.png", folder / "reference.png"
    write_image(example.source(), source)
    write_image(example.reference(), reference)
    corners = [] if example.box is None else [(example.box[:2], example.box[2:])]
    boxes = tuple(Stroke(tool="box", points=list(pair)) for pair in corners)
    return PaintedPicture(picture=source, strokes=example.strokes), PaintedPicture(picture=reference, strokes=boxes)
