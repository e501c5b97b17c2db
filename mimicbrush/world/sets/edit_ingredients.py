"""Ingredients of random edits: which combinations are edited, backgrounds, and how an object moves in a still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from mimicbrush.benchmark_layout import Vocabulary
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.random_scenes import MARGIN, NUM_SEEDS
from mimicbrush.world.renderer.scene import Pose, Scene
from mimicbrush.world.sets.splits import (
    HELD_OUT,
    MATERIALS,
    SEEN_BACKGROUNDS,
    SEEN_MATERIALS,
    SEEN_OBJECTS,
    TRAINING,
    UNSEEN,
    UNSEEN_BACKGROUNDS,
    Combination,
)

EDITED_PARTS = {
    "boat": ("hull", "sails"),
    "box": ("left side", "right side", "lid"),
    "crown": ("spikes", "band"),
    "fish": ("tail", "body"),
    "house": ("walls", "roof"),
    "key": ("shaft", "bow"),
    "mug": ("body",),
    "mushroom": ("stem", "cap"),
}
"""Parts by object that are neither tiny nor nearly all of it."""
REACH = 1.15
"""Distance from a moved object's centre to its outermost point, in object coordinates."""
MOVED_SCALES = (0.17, 0.25)
"""Half side of an object that moves within a still, as a fraction of the picture's side."""
SHIFTS = (0.1, 0.22)
"""Shortest and longest shift of such an object, as a fraction of the picture's side."""
TURNS = (20.0, 60.0)
"""Smallest and largest rotation of such an object, in degrees."""
RESIZINGS = (1.25, 1.5)
"""Smallest and largest factor by which such an object is enlarged or shrunk."""
TILTS = (0.3, 0.5)
"""Smallest and largest perspective of such an object from left to right."""
MOVES = ("shift", "turn", "shift", "shift and turn", "shift", "resize", "shift", "tilt")
"""Kinds of movement, in turn."""


@cache
def list_targets(kind: str, vocabulary: Vocabulary, seed: int) -> list[Combination]:
    """Shuffle the combinations of a vocabulary so that the objects take turns."""
    pool = HELD_OUT if vocabulary == "seen" else UNSEEN
    order = np.random.default_rng(seed_of(seed, "targets", kind, vocabulary)).permutation(len(pool))
    turns: Counter[str] = Counter()
    ranked = []
    for place, combination in enumerate(pool[number] for number in order):
        ranked.append((turns[combination.object], place, combination))
        turns[combination.object] += 1
    return [combination for _, _, combination in sorted(ranked)]


def pick(choices: Sequence, generator: np.random.Generator):
    """Draw one of the choices."""
    return choices[generator.integers(len(choices))]


def differ(first: str, second: str) -> bool:
    """Whether two materials share neither colour nor pattern."""
    one, other = MATERIALS[first], MATERIALS[second]
    return one.pattern != other.pattern and set(one.colours).isdisjoint(other.colours)


def draw_material(name: str, generator: np.random.Generator) -> Material:
    """Draw the seed of a named material, which matters if it is stochastic."""
    return replace(MATERIALS[name], seed=int(generator.integers(NUM_SEEDS)) if MATERIALS[name].is_stochastic else 0)


def draw_other_material(target: Combination, generator: np.random.Generator) -> str:
    """Draw a seen material, unlike the target's, in which training shows the target's object if it shows it at all."""
    shown = [each.material for each in TRAINING if each.object == target.object] or SEEN_MATERIALS
    return pick([name for name in shown if differ(name, target.material)], generator)


def draw_other_object(target: Combination, generator: np.random.Generator) -> Combination:
    """Draw another object, a seen one, in the target's material."""
    return Combination(pick([name for name in SEEN_OBJECTS if name != target.object], generator), target.material)


def draw_background(generator: np.random.Generator, *, but: str | None = None) -> str:
    """Draw a background, one that training shows or, as often, one that it does not; never `but`."""
    names = SEEN_BACKGROUNDS if generator.random() < 0.5 else UNSEEN_BACKGROUNDS
    return pick([name for name in names if name != but], generator)


def nameable(background: str, vocabulary: Vocabulary) -> str | None:
    """The background for a caption; None if its words are unseen and the caption's are to be seen."""
    return background if vocabulary == "unseen" or background in SEEN_BACKGROUNDS else None


def with_subject(scene: Scene, *, scale: float = 1.0, **changes: object) -> Scene:
    """Change fields of a scene's subject; scale: factor of its size."""
    subject = replace(scene.subject, **changes)
    subject = replace(subject, pose=replace(subject.pose, scale=subject.pose.scale * scale))
    return replace(scene, objects=(*scene.objects[:-1], subject))


def draw_move(number: int, size: int, generator: np.random.Generator) -> tuple[Pose, Pose]:
    """Draw an object's poses before and after it moves, both inside the picture; a pure shift is by whole pixels."""
    kind = MOVES[number % len(MOVES)]
    while True:
        x, y = generator.uniform(0.2, 0.8, 2)
        pose = Pose(x=x, y=y, scale=generator.uniform(*MOVED_SCALES), angle=generator.uniform(-15, 15))
        moved = _moved(pose, kind, size, generator)
        if _is_inside(pose) and _is_inside(moved):
            return pose, moved


def _moved(pose: Pose, kind: str, size: int, generator: np.random.Generator) -> Pose:
    sign = 1 if generator.random() < 0.5 else -1
    if "shift" in kind:
        direction, distance = generator.uniform(0, 2 * np.pi), generator.uniform(*SHIFTS)
        right, down = (round(size * distance * along(direction)) / size for along in (np.cos, np.sin))
        pose = replace(pose, x=pose.x + right, y=pose.y + down)
    if "turn" in kind:
        pose = replace(pose, angle=pose.angle + sign * generator.uniform(*TURNS))
    if "resize" in kind:
        pose = replace(pose, scale=pose.scale * generator.uniform(*RESIZINGS) ** sign)
    if "tilt" in kind:
        pose = replace(pose, tilt_x=sign * generator.uniform(*TILTS), tilt_y=generator.uniform(-0.2, 0.2))
    return pose


def _is_inside(pose: Pose) -> bool:
    reach = REACH * pose.scale + MARGIN
    return all(reach <= at <= 1 - reach for at in (pose.x, pose.y))
