"""Motions in words, made into motions of points and into flow fields of an object."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.motion_fields import (
    Motion,
    Point,
    bend,
    compose,
    homography,
    motion_field,
    rotate,
    scale,
    stretch,
    translate,
)
from mimicbrush.flow.motion_masks import STILL, check_motion
from mimicbrush.flow.motion_words import MotionWord, parse_words
from mimicbrush.pictures.mask_geometry import mask_box


class Box(NamedTuple):
    """Edges of the box around an object, in pixels; the middle of the first pixel is 0, its left edge -0.5."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Top left, top right, bottom right, bottom left."""
        left, top, right, bottom = self
        return (left, top), (right, top), (right, bottom), (left, bottom)


def box_of(mask: Tensor) -> Box:
    """The box around an object; mask: (..., H, W), 1 on the object, of which at least one pixel is above 0.5."""
    rows, columns = mask_box(mask.reshape(mask.shape[-2:]).cpu() > 0.5)
    return Box(columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5)


def worded_motion(text: str, box: Box) -> Motion:
    """The motion that words describe, of an object in this box.

    Each word acts around the middle of the box where the words before it have carried that point, so that
    `rotate 15; translate 40 0` and `translate 40 0; rotate 15` agree. Raises UserError for what is no motion.
    """
    motion = compose()
    for word in parse_words(text):
        motion = compose(motion, _next_motion(word, motion, box))
    return motion


def worded_flow(text: str, mask: Tensor) -> Tensor:
    """The flow (1, 2, H, W) of an object that moves as the words say, zero outside it.

    mask: (1, 1, H, W), 1 on the object. Raises UserError for an empty mask, for what is no motion, and for what moves
    nothing into the picture.
    """
    if not (mask > 0.5).any():
        raise UserError("the object's mask is empty, so nothing would move; mark the object with 1 (white)")
    flow = motion_field(worded_motion(text, box_of(mask)), *mask.shape[2:], mask=mask)
    if flow.abs().max() <= STILL:  # opposite steps and a full turn leave rounding errors
        raise UserError(f"'{text}' moves nothing; give a motion")
    if not flow.isfinite().all():
        raise UserError(f"'{text}' sends a part of the object to infinity; choose a smaller motion")
    check_motion(flow)
    return flow


def _next_motion(word: MotionWord, before: Motion, box: Box) -> Motion:
    """The motion of one word, after the motion of the words before it."""
    numbers = word.numbers
    corners = _carried(before, box.corners)
    (centre,) = _carried(before, (((box.left + box.right) / 2, (box.top + box.bottom) / 2),))
    if word.name == "translate":
        return translate(*numbers)
    if word.name == "homography":
        moved = [
            (x + right, y + down) for (x, y), right, down in zip(corners, numbers[::2], numbers[1::2], strict=True)
        ]
        return homography(corners, moved)
    if word.name == "bend":
        (top_left, top_right, bottom_right, bottom_left) = corners
        length = (math.dist(top_left, top_right) + math.dist(bottom_left, bottom_right)) / 2
        return bend(*numbers, centre=centre, length=length)
    return {"rotate": rotate, "scale": scale, "stretch": stretch}[word.name](*numbers, centre=centre)


def _carried(motion: Motion, points: tuple[Point, ...]) -> list[Point]:
    return [tuple(point) for point in motion(torch.tensor(points, dtype=torch.float64)).tolist()]
