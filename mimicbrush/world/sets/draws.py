"""Random stills and clips with captions, each drawn by its number, so that any of them can be drawn again alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.random_scenes import random_motion, random_scene
from mimicbrush.world.renderer.scene import Scene, SceneObject
from mimicbrush.world.renderer.scene_motion import SceneMotion
from mimicbrush.world.sets.splits import ALL, MATERIALS, SEEN_BACKGROUNDS, TRAINING, Combination
from mimicbrush.world.sets.vocabulary import PREPOSITIONS, TEMPLATES, Description, write_caption

BACKGROUND_SHARE = 0.7
"""Share of captions that name the background."""


class DrawnStill(NamedTuple):
    """A scene, its parts by name, and a caption."""

    scene: Scene
    description: Description
    caption: str


class DrawnClip(NamedTuple):
    """A motion, its parts by name, and a caption."""

    motion: SceneMotion
    description: Description
    caption: str

    @property
    def is_relit(self) -> bool:
        """Whether the light changes."""
        return len({scene.light for scene in self.motion.keyframes}) > 1


def draw_still(
    number: int,
    *,
    seed: int,
    purpose: str = "stills",
    combinations: Sequence[Combination] = TRAINING,
    backgrounds: Sequence[str] = SEEN_BACKGROUNDS,
    materials: Mapping[str, Material] = MATERIALS,
) -> DrawnStill:
    """Draw a still of one of these combinations; another purpose gives other stills under the same seed.

    materials: those that the combinations name.
    """
    generator = np.random.default_rng(seed_of(seed, purpose, number))
    combination = combinations[generator.integers(len(combinations))]
    background = backgrounds[generator.integers(len(backgrounds))]
    scene = draw_scene(combination, background, generator, materials=materials)
    description = Description(*combination, background)
    return DrawnStill(scene, description, draw_caption(description, generator))


def draw_judge_still(number: int, *, seed: int, is_held_out: bool = False) -> DrawnStill:
    """Draw a still for the judge, which knows all objects and materials.

    is_held_out: one of the stills by which the judge itself is tested, on all backgrounds.
    """
    purpose, backgrounds = ("judged judge", tuple(BACKGROUNDS)) if is_held_out else ("judge", SEEN_BACKGROUNDS)
    return draw_still(number, seed=seed, purpose=purpose, combinations=ALL, backgrounds=backgrounds)


def draw_clip(
    number: int,
    *,
    seed: int,
    purpose: str = "clips",
    combinations: Sequence[Combination] = TRAINING,
    backgrounds: Sequence[str] = SEEN_BACKGROUNDS,
    materials: Mapping[str, Material] = MATERIALS,
) -> DrawnClip:
    """Draw a clip like `draw_still`: object and camera move, and in clips of even numbers the light changes."""
    still = draw_still(
        number, seed=seed, purpose=purpose, combinations=combinations, backgrounds=backgrounds, materials=materials
    )
    motion = random_motion(np.random.default_rng(seed_of(seed, purpose, number, "motion")), still.scene)
    if number % 2:
        motion = with_steady_light(motion)
    return DrawnClip(motion, still.description, still.caption)


def with_steady_light(motion: SceneMotion) -> SceneMotion:
    """Keep the light of a motion's beginning."""
    return SceneMotion(tuple(replace(scene, light=motion.keyframes[0].light) for scene in motion.keyframes))


def draw_scene(
    combination: Combination,
    background: str,
    generator: np.random.Generator,
    *,
    materials: Mapping[str, Material] = MATERIALS,
) -> Scene:
    """Draw poses, light and the seeds of stochastic materials."""
    subject = SceneObject(silhouette=combination.object, material=materials[combination.material])
    return random_scene(generator, subject, background=BACKGROUNDS[background])


def draw_caption(description: Description, generator: np.random.Generator) -> str:
    """Write a caption in a random template; it names object and material, and mostly the background."""
    template = TEMPLATES[generator.integers(len(TEMPLATES))]
    preposition = PREPOSITIONS[generator.integers(len(PREPOSITIONS))]
    if generator.random() >= BACKGROUND_SHARE:
        description = description._replace(background=None)
    return write_caption(description, template=template, preposition=preposition)
