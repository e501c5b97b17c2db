"""Distance to a silhouette's border, its surface normals, and its parts, computed once and sampled by the renderer."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from mimicbrush.world.renderer.bilinear_sampling import Coordinates, bilinear
from mimicbrush.world.renderer.outlines import Loop
from mimicbrush.world.renderer.silhouettes import SILHOUETTES

EXTENT = 1.3
"""Half side of the sampled square, in object coordinates."""
GRID = 256
"""Samples per side."""
FINE_GRID = 4 * GRID
"""Samples per side when curves are filled, before they are averaged."""
COARSE_GRID = GRID // 2
"""Samples per side when surfaces are inflated."""
FIXED_POINT_BITS = 8
"""Precision of curves when they are filled, in bits below a sample."""
MAX_PARTS = 4
"""Largest number of parts of a silhouette."""
EDGE_SLOPE = 3.0
"""Steepest slope of a rounded surface, which is vertical at its border."""


class SilhouetteSamples(NamedTuple):
    """A silhouette at points of its object: arrays of the shape of the points."""

    distance: NDArray[np.float32]
    """Distance to the border in object coordinates, negative inside."""
    slope: NDArray[np.float32]
    """Slope of the surface (..., 2), to the right and downwards."""
    parts: NDArray[np.float32]
    """Share of each part (..., P), from back to front; continued beyond the border."""


def sample_silhouette(name: str, x: Coordinates, y: Coordinates) -> SilhouetteSamples:
    """Sample a silhouette at points (H, W) in object coordinates; far outside, distances are too small."""
    fields = silhouette_fields(name)
    grid = _to_grid(x), _to_grid(y)
    surface = bilinear(fields.surface, *grid)
    num_parts = len(SILHOUETTES[name].parts)
    parts = np.ones((*x.shape, 1), np.float32) if num_parts == 1 else bilinear(fields.parts, *grid)[..., :num_parts]
    return SilhouetteSamples(surface[..., 0], surface[..., 1:], parts)


def sample_distance(name: str, x: Coordinates, y: Coordinates) -> NDArray[np.float32]:
    """Sample a silhouette's distance to its border alone, at points (H, W) that may be far away."""
    # Beyond the grid the distance to the grid is added; only soft shadows reach that far.
    beyond = np.hypot(np.maximum(np.abs(x) - EXTENT, 0), np.maximum(np.abs(y) - EXTENT, 0)).astype(np.float32)
    return bilinear(silhouette_fields(name).distance, _to_grid(x), _to_grid(y))[..., 0] + beyond


class SilhouetteFields(NamedTuple):
    """A silhouette on a grid of GRID x GRID points."""

    distance: NDArray[np.float32]
    """Distance to the border (GRID, GRID, 1), negative inside."""
    surface: NDArray[np.float32]
    """Distance, slope to the right and slope downwards (GRID, GRID, 3)."""
    parts: NDArray[np.float32]
    """Share of each part (GRID, GRID, 4), of which the last ones may be unused."""


@cache
def silhouette_fields(name: str) -> SilhouetteFields:
    """Compute the fields of a silhouette, which takes about 0.1 s."""
    parts = list(SILHOUETTES[name].parts.values())
    covered = np.zeros((FINE_GRID, FINE_GRID), np.uint8)
    front_part = np.zeros((FINE_GRID, FINE_GRID), np.uint8)
    slope = np.zeros((GRID, GRID, 2), np.float32)
    for number, part in enumerate(parts):
        for loop in part.loops:
            filled = _filled(loop, part.holes)
            covered |= filled
            front_part[filled > 0] = number
            loop_slope = _inflated_slope(filled) if part.tilt is None else -np.array(part.tilt, np.float32)
            slope += (_averaged(filled)[..., None] > 0.5) * (loop_slope - slope)
    nearest = _nearest_covered((_averaged(covered) > 0.9).astype(np.uint8))
    slope = cv2.GaussianBlur(slope, (0, 0), 1.0)[nearest]
    distance = _signed_distance(covered)[..., None]
    front_part = front_part[_nearest_covered(covered)]
    shares = [_averaged((front_part == number).astype(np.uint8)) for number in range(MAX_PARTS)]
    return SilhouetteFields(distance, np.concatenate([distance, slope], axis=-1), np.stack(shares, axis=-1))


def _to_grid(coordinate: Coordinates) -> Coordinates:
    """Convert object coordinates to samples of the grid, whose first sample is half a step inside its border."""
    return (coordinate + EXTENT) * (GRID / (2 * EXTENT)) - 0.5


def _filled(loop: Loop, holes: tuple[Loop, ...]) -> NDArray[np.uint8]:
    """Fill a curve without its holes: (FINE_GRID, FINE_GRID), 1 inside."""
    canvas = np.zeros((FINE_GRID, FINE_GRID), np.uint8)
    for curve, value in [(loop, 1), *((hole, 0) for hole in holes)]:
        points = (curve + EXTENT) * (FINE_GRID / (2 * EXTENT)) - 0.5
        fixed = np.round(points * 2**FIXED_POINT_BITS).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], value, shift=FIXED_POINT_BITS)
    return canvas


def _averaged(mask: NDArray[np.uint8], grid: int = GRID) -> NDArray[np.float32]:
    return cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)


def _signed_distance(covered: NDArray[np.uint8]) -> NDArray[np.float32]:
    outside = cv2.distanceTransform(1 - covered, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = cv2.distanceTransform(covered, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = (outside - inside) * np.float32(2 * EXTENT / FINE_GRID)
    return cv2.resize(distance, (GRID, GRID), interpolation=cv2.INTER_AREA)


def _nearest_covered(covered: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the covered sample nearest to each sample."""
    labels = cv2.distanceTransformWithLabels(1 - covered, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)[
        1
    ]
    rows, columns = np.nonzero(covered)
    row_of, column_of = (np.zeros(labels.max() + 1, np.int64) for _ in range(2))
    row_of[labels[rows, columns]], column_of[labels[rows, columns]] = rows, columns
    return row_of[labels], column_of[labels]


def _inflated_slope(filled: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Slope (GRID, GRID, 2) of a surface that bulges like a balloon over the mask; a disc becomes a half ball.

    The height is the root of the solution of Poisson's equation that is 0 at the border.
    """
    inside = _averaged(filled, COARSE_GRID) > 0.5
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    own = number[rows, columns]
    pairs = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        other = number[rows + down, columns + right]
        pairs.append((own[other >= 0], other[other >= 0]))
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    values = np.concatenate([np.full(len(own), 4.0), np.full(len(first), -1.0)])
    matrix = csr_matrix((values, (np.concatenate([own, first]), np.concatenate([own, second]))))
    step = 2 * EXTENT / COARSE_GRID
    squared = np.zeros(inside.shape)
    squared[inside] = spsolve(matrix, np.full(len(own), 4 * step * step))
    down, right = np.gradient(squared, step)
    # The derivative of sqrt(s) is s' / (2 sqrt(s)).
    slope = np.stack([right, down], axis=-1) / (2 * np.sqrt(np.maximum(squared, step * step)))[..., None]
    return cv2.resize(np.clip(slope, -EDGE_SLOPE, EDGE_SLOPE).astype(np.float32), (GRID, GRID))
