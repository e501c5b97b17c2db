"""Motions as functions of points, and the flow fields that they make: translation, rotation, homography, bending, ...

A motion maps points (..., 2), x then y in pixels, to where they go. Motions are composed before a field is made of
them, because adding their fields would be wrong for anything but translations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from kornia.geometry.linalg import transform_points
from kornia.geometry.transform import get_perspective_transform
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.warping import pixel_grid

Motion: TypeAlias = Callable[[Tensor], Tensor]
Point: TypeAlias = tuple[float, float]
"""x to the right, then y down, in pixels; (0, 0) is the middle of the first pixel."""
NUM_CORNERS = 4


def motion_field(motion: Motion, height: int, width: int, *, mask: Tensor | None = None) -> Tensor:
    """Flow (1, 2, H, W) in pixels that moves each pixel as the motion says.

    mask: (1, 1, H, W), 1 on the object that moves; the flow is zero outside it.
    """
    grid = pixel_grid(height, width, dtype=torch.float64)
    points = grid.permute(0, 2, 3, 1)
    flow = (motion(points) - points).permute(0, 3, 1, 2).float()
    return flow if mask is None else torch.where(mask > 0.5, flow, 0)


def compose(*motions: Motion) -> Motion:
    """The motions one after the other, the first one first; without any, nothing moves."""

    def move(points: Tensor) -> Tensor:
        for motion in motions:
            points = motion(points)
        return points

    return move


def translate(right: float, down: float) -> Motion:
    """Move by pixels."""
    return lambda points: points + points.new_tensor([right, down])


def rotate(degrees: float, *, centre: Point) -> Motion:
    """Turn clockwise, as seen on a screen, around the centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _linear([[cosine, -sine], [sine, cosine]], centre)


def scale(factor: float, *, centre: Point) -> Motion:
    """Enlarge by a factor around the centre."""
    return stretch(factor, factor, centre=centre)


def stretch(horizontal: float, vertical: float, *, centre: Point) -> Motion:
    """Stretch each axis by its own factor around the centre."""
    if min(horizontal, vertical) <= 0:
        raise UserError(f"factors are {horizontal:g} and {vertical:g}, expected positive numbers; 1 keeps the size")
    return _linear([[horizontal, 0.0], [0.0, vertical]], centre)


def homography(before: Sequence[Point], after: Sequence[Point]) -> Motion:
    """Perspective that moves four corners to four other points.

    Raises UserError for corners that make a dented quadrangle, or that mirror it.
    """
    if len(before) != NUM_CORNERS or len(after) != NUM_CORNERS:
        raise UserError(f"{len(before)} and {len(after)} corners were given, expected {NUM_CORNERS} each")
    corners = torch.tensor([before, after], dtype=torch.float64)
    for name, four in zip(("before", "after"), corners, strict=True):
        if not _is_convex(four):
            raise UserError(f"the corners {name} the motion make no convex quadrangle; move the dented one outwards")
    if _turns(corners[0])[0] * _turns(corners[1])[0] < 0:
        raise UserError("the corners have crossed, which would mirror the object; keep their order around it")
    matrix = get_perspective_transform(*corners[:, None])

    def move(points: Tensor) -> Tensor:
        flat = points.reshape(1, -1, 2).double()
        return transform_points(matrix.to(points.device), flat).reshape(points.shape).to(points.dtype)

    return move


def bend(degrees: float, *, centre: Point, length: float) -> Motion:
    """Bend a horizontal bar into an arc: its two ends, `length` apart, then differ in direction by `degrees`.

    The middle line keeps its length. Positive degrees lift the ends, negative ones lower them; an object that is
    thicker than the arc's radius folds over itself.
    """
    if length <= 0:
        raise UserError(f"length is {length:g}, expected the positive width of the object in pixels")
    if not degrees:
        return compose()
    radius = length / math.radians(degrees)

    def move(points: Tensor) -> Tensor:
        along, beside = (points - points.new_tensor(centre)).unbind(-1)
        angle, distance = along / radius, radius + beside
        arc = torch.stack([distance * torch.sin(angle), distance * torch.cos(angle) - radius], dim=-1)
        return arc + points.new_tensor(centre)

    return move


def _linear(matrix: list[list[float]], centre: Point) -> Motion:
    def move(points: Tensor) -> Tensor:
        middle = points.new_tensor(centre)
        return (points - middle) @ points.new_tensor(matrix).T + middle

    return move


def _is_convex(corners: Tensor) -> bool:
    """Whether four corners (4, 2), in turn, make a quadrangle without a dent."""
    turns = _turns(corners)
    return bool((turns > 0).all() or (turns < 0).all())


def _turns(corners: Tensor) -> Tensor:
    """Cross products (4,) of the following sides of a quadrangle (4, 2): their signs say which way it is gone round."""
    sides = corners.roll(-1, dims=0) - corners
    following = sides.roll(-1, dims=0)
    return sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
