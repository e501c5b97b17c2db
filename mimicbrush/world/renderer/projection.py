"""Homographies between a picture and the coordinates of the objects and the background in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.bilinear_sampling import Coordinates
from mimicbrush.world.renderer.scene import Camera, Pose, Scene

MIN_SIZE = 16
"""Smallest side of a picture in pixels; smaller ones show no pattern."""
Homography = NDArray[np.float64]
"""(3, 3), applied to columns (x, y, 1)."""


def pose_homography(pose: Pose) -> Homography:
    """From an object's own coordinates to the scene."""
    tilt = np.array([[1, 0, 0], [0, 1, 0], [pose.tilt_x, pose.tilt_y, 1]])
    place = np.array([[pose.scale, 0, pose.x], [0, pose.scale, pose.y], [0, 0, 1]])
    return place @ _rotation(pose.angle) @ tilt


def object_to_picture(scene: Scene, pose: Pose) -> Homography:
    """From an object's or the background's own coordinates to the picture, from 0 to 1."""
    return _camera_homography(scene.camera) @ pose_homography(pose)


def project(homography: Homography, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Apply a homography to points."""
    (a, b, c), (d, e, f), (g, h, i) = homography
    if g == h == 0:
        return (a * x + b * y + c) / i, (d * x + e * y + f) / i
    depth = g * x + h * y + i
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def pixel_centres(
    size: int, *, num_samples: int = 1, box: tuple[slice, slice] | None = None
) -> tuple[Coordinates, Coordinates]:
    """x and y of the samples of a picture, from 0 to 1: (size * num_samples, same), or those of a box.

    num_samples: samples per pixel in each direction. box: rows and columns of pixels.
    """
    if size < MIN_SIZE:
        raise UserError(f"size is {size}; pictures of the small world need at least {MIN_SIZE} pixels a side")
    at = (np.arange(size * num_samples) + 0.5) / (size * num_samples)
    rows, columns = (at[side.start * num_samples : side.stop * num_samples] for side in box) if box else (at, at)
    x, y = np.meshgrid(columns, rows)
    return x, y


def own_coordinates(scene: Scene, pose: Pose, size: int) -> NDArray[np.float64]:
    """Coordinates (size, size, 2) of each pixel's centre on the plane of an object or of the background."""
    inverse = np.linalg.inv(object_to_picture(scene, pose))
    return np.stack(project(inverse, *pixel_centres(size)), axis=-1)


def _camera_homography(camera: Camera) -> Homography:
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    zoom = np.diag([camera.zoom, camera.zoom, 1])
    look_at = np.array([[1, 0, -camera.x], [0, 1, -camera.y], [0, 0, 1]])
    return centre @ _rotation(-camera.angle) @ zoom @ look_at


def _rotation(degrees: float) -> Homography:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
