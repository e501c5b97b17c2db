"""Points that match in two scenes: the same place of a material on two objects, or of one background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer.exact_flow import BACKGROUND, front_object
from mimicbrush.world.renderer.projection import object_to_picture, pixel_centres, project
from mimicbrush.world.renderer.scene import Pose, Scene

SUBJECT_SHARE = 0.75
"""Share of the points that lie on the subject, where the background matches, too."""


def matched_points(
    source: Scene, reference: Scene, size: int, *, num: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw up to `num` matches (N, 4): x, y in the source and x, y in the reference, from 0 to 1.

    Points of the two subjects match where their own coordinates are equal: there both show the same place of the
    material, even if their silhouettes differ. Points of the backgrounds match if both scenes have the same one.
    """
    has_background = source.background == reference.background
    num_subject = round(SUBJECT_SHARE * num) if has_background else num
    points = [_on(source, reference, len(source.objects) - 1, size, num_subject, generator)]
    if has_background:
        points.append(_on(source, reference, BACKGROUND, size, num - num_subject, generator))
    return np.concatenate(points)


def _on(
    source: Scene, reference: Scene, number: int, size: int, num: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw matches of one object of the source, by its number, and the reference's subject; or of the backgrounds."""
    x, y = pixel_centres(size)
    other = number if number == BACKGROUND else len(reference.objects) - 1
    motion = _to_picture(reference, other) @ np.linalg.inv(_to_picture(source, number))
    to_x, to_y = project(motion, x, y)
    margin = 0.5 / size
    is_seen = (np.minimum(to_x, to_y) >= margin) & (np.maximum(to_x, to_y) <= 1 - margin)
    is_seen &= (front_object(source, x, y) == number) & (front_object(reference, to_x, to_y) == other)
    points = np.stack([x, y, to_x, to_y], axis=-1)[is_seen]
    return generator.permutation(points)[:num]


def _to_picture(scene: Scene, number: int) -> NDArray[np.float64]:
    return object_to_picture(scene, _pose(scene, number))


def _pose(scene: Scene, number: int) -> Pose:
    return scene.background.pose if number == BACKGROUND else scene.objects[number].pose
