"""Motion: scenes at any time between keyframes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.interpolate import PchipInterpolator

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.scene import Camera, Light, Pose, Scene

Numbers = TypeVar("Numbers", Pose, Camera, Light)


@dataclass(frozen=True)
class Motion:
    """A scene whose poses, light and camera change over time.

    The keyframes lie at equal distances in time. Two are joined by an even motion, more by a smooth one, in which no
    value leaves the range of its neighbouring keyframes.
    """

    keyframes: tuple[Scene, ...]

    def __post_init__(self) -> None:
        if len(self.keyframes) < 2:
            raise UserError(f"a motion has {len(self.keyframes)} keyframes; give at least two scenes")
        if len({_unmoved(scene) for scene in self.keyframes}) > 1:
            raise UserError(
                "the keyframes of a motion differ in more than poses, light and camera; give all of them the same"
                " silhouettes, materials and background"
            )

    def at(self, time: float) -> Scene:
        """The scene at a time from 0 to 1."""
        first = self.keyframes[0]
        objects = tuple(
            replace(each, pose=self._between([scene.objects[number].pose for scene in self.keyframes], time))
            for number, each in enumerate(first.objects)
        )
        background_pose = self._between([scene.background.pose for scene in self.keyframes], time)
        return Scene(
            background=replace(first.background, pose=background_pose),
            objects=objects,
            light=self._between([scene.light for scene in self.keyframes], time),
            camera=self._between([scene.camera for scene in self.keyframes], time),
        )

    def scenes(self, num_frames: int) -> list[Scene]:
        """Scenes at `num_frames` equally distant times, from the first keyframe to the last."""
        return [self.at(float(time)) for time in np.linspace(0, 1, num_frames)]

    def _between(self, keys: list[Numbers], time: float) -> Numbers:
        """Interpolate all fields of poses, lights or cameras."""
        times = np.linspace(0, 1, len(keys))
        fields = {}
        for name in vars(keys[0]):
            values = np.array([getattr(key, name) for key in keys], np.float64)
            value = PchipInterpolator(times, values)(time)
            fields[name] = tuple(map(float, value)) if value.ndim else float(value)
        return type(keys[0])(**fields)


def _unmoved(scene: Scene) -> tuple:
    """Everything of a scene that a motion cannot change."""
    objects = tuple(
        (each.silhouette, each.material, tuple(sorted(each.part_materials.items()))) for each in scene.objects
    )
    return scene.background.material, objects
