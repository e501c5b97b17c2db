"""Random pairs of a source and a reference in one material, from easy to hard, on which MimicBrush is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np

from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.random_scenes import fitted
from mimicbrush.world.renderer.scene import Camera, Scene
from mimicbrush.world.sets.draws import draw_scene
from mimicbrush.world.sets.edit_ingredients import draw_background, draw_other_object, pick, with_subject
from mimicbrush.world.sets.splits import HELD_OUT, MATERIALS, SEEN_BACKGROUNDS, SEEN_OBJECTS, TRAINING, Combination

PairKind = Literal["moved", "small_poses", "large_poses", "other_objects", "heldout"]
PAIR_KINDS: tuple[PairKind, ...] = get_args(PairKind)
PATTERNED = tuple(each for each in TRAINING if MATERIALS[each.material].is_pattern)
"""Training combinations whose material has three to four periods on an object, or one colour; no photographs."""
CAMERA_SHIFT = 0.08
"""Largest shift of the camera in each direction of pairs that are moved, as a fraction of the picture's side."""
SMALL_SHIFT, SMALL_SCALE, SMALL_ANGLE = 0.08, 1.12, 12.0
"""Largest shift, factor of size and rotation in degrees of a small change of pose."""


class DrawnPair(NamedTuple):
    """Two scenes whose subjects show one material, and the combination that the source shows."""

    source: Scene
    reference: Scene
    combination: Combination


def draw_pair(kind: PairKind, number: int, *, seed: int) -> DrawnPair:
    """Draw a pair by its number.

    moved: one scene, the camera shifted by a few pixels; small_poses: the object also moves a little; large_poses: the
    same object at another place, in another light, before another background; other_objects: another object there.
    The first two show patterns alone. heldout: large_poses and other_objects in turn, of held-out combinations.
    """
    generator = np.random.default_rng(seed_of(seed, f"pairs, {kind}", number))
    return DRAWN[kind](number, generator)


def _moved(number: int, generator: np.random.Generator) -> DrawnPair:
    combination, source = _draw_source(PATTERNED, generator)
    return DrawnPair(source, replace(source, camera=_shifted_camera(generator)), combination)


def _small_pose(number: int, generator: np.random.Generator) -> DrawnPair:
    combination, source = _draw_source(PATTERNED, generator)
    pose = source.subject.pose
    x, y = np.array([pose.x, pose.y]) + generator.uniform(-SMALL_SHIFT, SMALL_SHIFT, 2)
    scale = pose.scale * SMALL_SCALE ** generator.uniform(-1, 1)
    angle = pose.angle + generator.uniform(-SMALL_ANGLE, SMALL_ANGLE)
    pose = fitted(replace(pose, x=float(x), y=float(y), scale=float(scale), angle=float(angle)), combination.object)
    reference = replace(with_subject(source, pose=pose), camera=_shifted_camera(generator))
    return DrawnPair(source, reference, combination)


def _large_pose(number: int, generator: np.random.Generator) -> DrawnPair:
    combination, source = _draw_source(TRAINING, generator)
    return DrawnPair(source, _draw_reference(combination, source, SEEN_BACKGROUNDS, generator), combination)


def _other_object(number: int, generator: np.random.Generator) -> DrawnPair:
    combination, source = _draw_source(TRAINING, generator)
    names = [name for name in SEEN_OBJECTS if name != combination.object]
    shown = [each for each in (Combination(name, combination.material) for name in names) if each.split == "training"]
    other = pick(shown, generator)
    return DrawnPair(source, _draw_reference(other, source, SEEN_BACKGROUNDS, generator), combination)


def _held_out(number: int, generator: np.random.Generator) -> DrawnPair:
    combination = pick(HELD_OUT, generator)
    source = draw_scene(combination, draw_background(generator), generator)
    shown = draw_other_object(combination, generator) if number % 2 else combination
    return DrawnPair(source, _draw_reference(shown, source, (draw_background(generator),), generator), combination)


def _draw_source(combinations: tuple[Combination, ...], generator: np.random.Generator) -> tuple[Combination, Scene]:
    combination = pick(combinations, generator)
    return combination, draw_scene(combination, pick(SEEN_BACKGROUNDS, generator), generator)


def _draw_reference(
    shown: Combination, source: Scene, backgrounds: tuple[str, ...], generator: np.random.Generator
) -> Scene:
    """Draw a scene of its own in the material of the source's subject, which includes its seed."""
    return with_subject(draw_scene(shown, pick(backgrounds, generator), generator), material=source.subject.material)


def _shifted_camera(generator: np.random.Generator) -> Camera:
    x, y = generator.uniform(0.5 - CAMERA_SHIFT, 0.5 + CAMERA_SHIFT, 2)
    return Camera(x=float(x), y=float(y))


DRAWN: dict[PairKind, Callable[[int, np.random.Generator], DrawnPair]] = {
    "moved": _moved,
    "small_poses": _small_pose,
    "large_poses": _large_pose,
    "other_objects": _other_object,
    "heldout": _held_out,
}
"""How pairs of each kind are drawn."""
