"""Labelled crops of renders, each drawn by its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mimicbrush.evaluation.metrics.judge_network import CONTEXT, SIZE, crop_around
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.seeds import seed_of
from mimicbrush.world.render_parts import render_parts
from mimicbrush.world.renderer.random_scenes import fitted
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.sets import edits
from mimicbrush.world.sets.draws import draw_judge_still
from mimicbrush.world.sets.splits import MATERIALS

OBJECTS, MATERIAL_NAMES = tuple(SILHOUETTES), tuple(MATERIALS)
"""Names of the judge's classes, in their order."""
CONTEXTS = (1.05, 1.45)
"""Smallest and largest context of training crops; see `crop_around`."""
MAX_ANGLE = 80.0
"""Largest rotation of the objects in every second picture, to either side in degrees: motion sets turn objects."""
SHRINKAGE = (0.7, 1.0)
"""Smallest and largest factor of the size of these objects."""


class LabelledCrops(NamedTuple):
    """Crops with the numbers of their classes."""

    pixels: Tensor
    """(N, 3, 64, 64), 8 bits."""
    objects: Tensor
    """(N,)"""
    materials: Tensor
    """(N,)"""


def is_turned(numbers: NDArray[np.int64] | int) -> NDArray[np.bool_] | bool:
    """Whether the objects of these pictures are turned farther, and smaller, than `draw_judge_still` draws them."""
    return numbers % 2 == 1


def size_place(numbers: NDArray[np.int64] | int, sizes: Sequence[int]) -> NDArray[np.int64] | int:
    """Places in `sizes` of these pictures' sides."""
    return numbers // 2 % len(sizes)


def render_crops(folder: Path, num: int, *, sizes: Sequence[int], seed: int, is_held_out: bool) -> LabelledCrops:
    """Render crops, or read those that an earlier call with the same arguments left in the folder.

    sizes: sides of the pictures, in turn; is_held_out: crops by which the judge is tested rather than trained. These
    have other seeds and poses, show all backgrounds, and are cropped as in evaluations; training crops vary.
    """

    def draw_crop(number: int) -> dict[str, ArrayLike]:
        still = draw_judge_still(number, seed=seed, is_held_out=is_held_out)
        generator = np.random.default_rng(seed_of(seed, "judge's crops", number, is_held_out))
        scene = _turned(still.scene, generator) if is_turned(number) else still.scene
        rendered = render(scene, sizes[size_place(number, sizes)])
        picture = edits.to_8_bits(rendered.picture)
        context = CONTEXT if is_held_out else generator.uniform(*CONTEXTS)
        return {
            "pixels": to_levels(crop_around(picture, rendered.mask > 0.5, size=SIZE, context=context)).transpose(
                2, 0, 1
            ),
            "objects": OBJECTS.index(still.description.object),
            "materials": MATERIAL_NAMES.index(still.description.material),
        }

    return LabelledCrops(**render_parts(folder, "heldout" if is_held_out else "training", num, draw_crop))


def _turned(scene: Scene, generator: np.random.Generator) -> Scene:
    """Turn the subject to any side and make it smaller, inside the picture."""
    subject = scene.subject
    angle, shrinkage = generator.uniform(-MAX_ANGLE, MAX_ANGLE), generator.uniform(*SHRINKAGE)
    pose = replace(subject.pose, angle=angle, scale=shrinkage * subject.pose.scale)
    pose = fitted(pose, subject.silhouette)
    return replace(scene, objects=(*scene.objects[:-1], replace(subject, pose=pose)))
