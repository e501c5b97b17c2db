"""Strokes that a visitor paints on a picture, and the mask or the box that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field, FiniteFloat

from mimicbrush.pictures.conversion import to_pil

DISTANCE_ERROR = 1e-3
"""Rounding error of distances in pixels, which are roots of whole numbers."""

Coordinate = Annotated[FiniteFloat, Field(ge=-1e6, le=1e6)]


class Stroke(BaseModel):
    """One movement of a tool, or one change of the whole mask, in pixels of the upright picture.

    points: path of the brush, or two opposite corners of a box; changes of the mask take no notice of them. size:
    diameter of the brush, or by how much the mask grows or shrinks.
    """

    tool: Literal["brush", "eraser", "box", "invert", "grow", "shrink"]
    points: list[tuple[Coordinate, Coordinate]] = Field(min_length=1, max_length=20_000)
    size: Annotated[FiniteFloat, Field(ge=1, le=10_000)] = 1


@dataclass(frozen=True, kw_only=True)
class PaintedPicture:
    """A picture with the strokes painted on it."""

    picture: Path
    """The uploaded file, unchanged."""
    mask: Path | None = None
    """An uploaded mask, to which the strokes are added."""
    strokes: Sequence[Stroke] = ()
    size: tuple[int, int] | None = None
    """Width and height of the upright picture; None until the picture is checked."""
    previews: dict[str, Path] = field(default_factory=dict)
    """Files of `picture` and `mask` for the browser."""


def draw_mask(strokes: Sequence[Stroke], size: tuple[int, int], start: Image.Image | None = None) -> Image.Image:
    """Draw a mask that is white under the strokes. size: width, height; start: a mask to begin with."""
    canvas = np.zeros(size[::-1], np.uint8) if start is None else np.array(start.convert("L"))
    for stroke in strokes:
        _draw(stroke, canvas)
    return to_pil(canvas)


def crop_box(strokes: Sequence[Stroke], size: tuple[int, int]) -> list[int] | None:
    """Return left, top, right, bottom of the last box, clipped to the picture; None if it has no area."""
    boxes = [_corners(stroke, size) for stroke in strokes if stroke.tool == "box"]
    if not boxes:
        return None
    left, top, right, bottom = boxes[-1]
    return [left, top, right, bottom] if left < right and top < bottom else None


def _draw(stroke: Stroke, canvas: NDArray[np.uint8]) -> None:
    if stroke.tool in ("invert", "grow", "shrink"):
        canvas[:] = _changed(stroke, canvas)
        return
    colour = 0 if stroke.tool == "eraser" else 255
    if stroke.tool == "box":
        left, top, right, bottom = _corners(stroke, canvas.shape[::-1])
        canvas[top:bottom, left:right] = colour
        return
    # Pixel centres are at half numbers in the browser, and at whole numbers here.
    points = np.round(np.array(stroke.points) - 0.5).astype(np.int32)
    cv2.polylines(canvas, [points], False, colour, thickness=max(1, round(stroke.size)))
    for end in (points[0], points[-1]):
        cv2.circle(canvas, end.tolist(), math.floor(stroke.size / 2), colour, thickness=-1)


def _changed(stroke: Stroke, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Invert a mask, or grow or shrink it by a disc; beyond the picture, it goes on as at its edge."""
    if stroke.tool == "invert":
        return 255 - mask
    changing = (mask if stroke.tool == "shrink" else 255 - mask) > 127
    if changing.all():  # there is nothing to measure the distance from
        return mask
    distance = cv2.distanceTransform(changing.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    is_far = distance > stroke.size + DISTANCE_ERROR
    return np.where(is_far == (stroke.tool == "shrink"), 255, 0).astype(np.uint8)


def _corners(stroke: Stroke, size: tuple[int, int]) -> tuple[int, int, int, int]:
    (x0, x1), (y0, y1) = zip(stroke.points[0], stroke.points[-1], strict=True)
    left, right = sorted(round(min(max(0, x), size[0])) for x in (x0, x1))
    top, bottom = sorted(round(min(max(0, y), size[1])) for y in (y0, y1))
    return left, top, right, bottom
