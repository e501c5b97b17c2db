"""Exact optical flow between two scenes of one motion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.bilinear_sampling import Coordinates
from mimicbrush.world.renderer.projection import object_to_picture, pixel_centres, project
from mimicbrush.world.renderer.relief import sample_distance
from mimicbrush.world.renderer.scene import Scene

BACKGROUND = -1
"""Number of the background among a scene's objects."""


class ExactFlow(NamedTuple):
    """Motion of the point at each pixel's centre of the first scene's picture."""

    flow: NDArray[np.float32]
    """Motion in pixels (2, H, W): to the right, then downwards; also of points that become hidden."""
    visible: NDArray[np.bool_]
    """Whether the point is seen in both pictures (H, W)."""
    front_object: NDArray[np.int64]
    """Number in `scene.objects` of the object to which each point belongs, or BACKGROUND (H, W)."""


def exact_flow(first: Scene, second: Scene, size: int) -> ExactFlow:
    """Compute the flow from the first scene to the second, whose objects are the same in other poses."""
    if [each.silhouette for each in first.objects] != [each.silhouette for each in second.objects]:
        raise UserError("the two scenes of a flow have other objects; give two scenes of one motion")
    x, y = pixel_centres(size)
    front = front_object(first, x, y)
    to_x, to_y = np.empty_like(x), np.empty_like(y)
    for number in range(BACKGROUND, len(first.objects)):
        own = front == number
        before, after = (_homography_of(scene, number) for scene in (first, second))
        is_moved = not np.array_equal(before, after)  # without this, rounding would leave flows of 1e-17
        motion = after @ np.linalg.inv(before) if is_moved else np.eye(3)
        to_x[own], to_y[own] = project(motion, x[own], y[own])
    half_pixel = 0.5 / size
    is_inside = np.minimum(to_x, to_y) >= half_pixel
    is_inside &= np.maximum(to_x, to_y) <= 1 - half_pixel
    flow = np.stack([to_x - x, to_y - y]) * size
    return ExactFlow(flow.astype(np.float32), is_inside & (front_object(second, to_x, to_y) == front), front)


def front_object(scene: Scene, x: Coordinates, y: Coordinates) -> NDArray[np.int64]:
    """Number of the object that is seen at points of the picture, which reaches from 0 to 1."""
    front = np.full(x.shape, BACKGROUND)
    for number, each in enumerate(scene.objects):
        inverse = np.linalg.inv(_homography_of(scene, number))
        front[sample_distance(each.silhouette, *project(inverse, x, y)) < 0] = number
    return front


def _homography_of(scene: Scene, number: int) -> NDArray[np.float64]:
    pose = scene.background.pose if number == BACKGROUND else scene.objects[number].pose
    return object_to_picture(scene, pose)
