"""Closed curves from which silhouettes are built: (N, 2) arrays of x to the right and y down, within [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Loop = NDArray[np.float64]
Points = Sequence[tuple[float, float]]

POINTS_PER_CURVE = 96
"""Number of corners by which an ellipse or a smooth curve is approximated."""


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Loop:
    """Ellipse with its centre at (x, y)."""
    angles = np.linspace(0, 2 * np.pi, POINTS_PER_CURVE, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def circle(x: float, y: float, radius: float) -> Loop:
    """Circle with its centre at (x, y)."""
    return ellipse(x, y, radius, radius)


def polygon(points: Points) -> Loop:
    """Straight lines between the points."""
    return np.array(points, np.float64)


def smooth(points: Points) -> Loop:
    """Smooth closed curve through the points."""
    corners = np.array([*points, points[0]], np.float64)
    # Centripetal parameters keep the curve from overshooting between close points.
    steps = np.sqrt(np.linalg.norm(np.diff(corners, axis=0), axis=1))
    at = np.concatenate([[0], np.cumsum(steps)])
    return CubicSpline(at, corners, bc_type="periodic")(np.linspace(0, at[-1], 2 * POINTS_PER_CURVE, endpoint=False))


def rounded(points: Points, radius: float) -> Loop:
    """Polygon whose corners are rounded from `radius` before each corner to `radius` after it, at most half a side."""
    corners = polygon(points)
    curves = []
    for before, corner, after in zip(np.roll(corners, 1, axis=0), corners, np.roll(corners, -1, axis=0), strict=True):
        start, end = (corner + _shortened(other - corner, radius) for other in (before, after))
        t = np.linspace(0, 1, 8)[:, None]
        curves.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate(curves)


def mirrored(points: Points) -> Points:
    """Points of the right half, from top to bottom, followed by their mirror images from bottom to top."""
    return [*points, *((-x, y) for x, y in reversed(points) if x)]


def flipped(loop: Loop) -> Loop:
    """Mirror image of a curve, left to right."""
    return loop * (-1, 1)


def right_half(loop: Loop) -> Loop:
    """Part of a curve to the right of x = 0, closed by the straight line."""
    return np.maximum(loop, (0, -np.inf))


def star(num_points: int, radius: float, inner_radius: float) -> Points:
    """Corners of a star with a point at its top."""
    angles = np.pi * np.arange(2 * num_points) / num_points
    radii = np.where(np.arange(2 * num_points) % 2, inner_radius, radius)
    return [(r * np.sin(angle), -r * np.cos(angle)) for r, angle in zip(radii, angles, strict=True)]


def heart(width: float, top: float, bottom: float) -> Loop:
    """Heart between the heights `top` and `bottom`."""
    angles = np.linspace(0, 2 * np.pi, 2 * POINTS_PER_CURVE, endpoint=False)
    x = np.sin(angles) ** 3
    y = -(13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles))
    y = (y - y.min()) / (y.max() - y.min())
    return np.stack([width * x, top + (bottom - top) * y], axis=1)


def _shortened(vector: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    return vector * min(0.5, length / np.linalg.norm(vector))
