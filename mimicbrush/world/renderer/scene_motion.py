"""Motion: scenes at any time between keyframes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy.interpolate import PchipInterpolator

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.scene import Camera, Light, Pose, Scene

Numbered = TypeVar("Numbered", Pose, Camera, Light)


@dataclass(frozen=True)
class SceneMotion:
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
        numbers = iter(self._curve(time).tolist())
        first = self.keyframes[0]
        return replace(
            first,
            background=replace(first.background, pose=_filled(first.background.pose, numbers)),
            objects=tuple(replace(each, pose=_filled(each.pose, numbers)) for each in first.objects),
            light=_filled(first.light, numbers),
            camera=_filled(first.camera, numbers),
        )

    def scenes(self, num_frames: int) -> list[Scene]:
        """Scenes at `num_frames` equally distant times, from the first keyframe to the last."""
        return [self.at(float(time)) for time in np.linspace(0, 1, num_frames)]

    @cached_property
    def _curve(self) -> PchipInterpolator:
        """All moving numbers of the scene as functions of time."""
        numbers = [[np.hstack(astuple(each)) for each in _moving_parts(scene)] for scene in self.keyframes]
        return PchipInterpolator(np.linspace(0, 1, len(numbers)), np.stack([np.concatenate(each) for each in numbers]))


def _moving_parts(scene: Scene) -> list[Pose | Light | Camera]:
    """Everything of a scene that a motion can change, in the order in which `SceneMotion.at` reads it."""
    return [scene.background.pose, *(each.pose for each in scene.objects), scene.light, scene.camera]


def _filled(numbered: Numbered, numbers: Iterator[float]) -> Numbered:
    """Copy a pose, light or camera with the next numbers in the place of its own."""
    fields = {
        name: tuple(next(numbers) for _ in value) if isinstance(value, tuple) else next(numbers)
        for name, value in vars(numbered).items()
    }
    return type(numbered)(**fields)


def _unmoved(scene: Scene) -> tuple:
    """Everything of a scene that a motion cannot change."""
    objects = tuple(
        (each.silhouette, each.material, tuple(sorted(each.part_materials.items()))) for each in scene.objects
    )
    return scene.background.material, objects
