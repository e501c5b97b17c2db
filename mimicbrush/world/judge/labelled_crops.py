"""Labelled crops of renders: drawn by number alone, and kept on disk so that an interrupted run resumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.evaluation.metrics.judge_network import CONTEXT, SIZE, crop_around
from mimicbrush.files import whole
from mimicbrush.progress import progress_bar
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.sets.draws import draw_judge_still
from mimicbrush.world.sets.splits import MATERIALS

OBJECTS, MATERIAL_NAMES = tuple(SILHOUETTES), tuple(MATERIALS)
"""Names of the judge's classes, in their order."""
CONTEXTS = (1.05, 1.45)
"""Smallest and largest context of training crops; see `crop_around`."""
PART = 1000
"""Crops in a file."""


class Crops(NamedTuple):
    """Crops with the numbers of their classes."""

    pixels: Tensor
    """(N, 3, 64, 64), 8 bits."""
    objects: Tensor
    """(N,)"""
    materials: Tensor
    """(N,)"""


def render_crops(folder: Path, num: int, *, sizes: Sequence[int], seed: int, is_held_out: bool) -> Crops:
    """Render crops, or read those that an earlier call with the same arguments left in the folder.

    sizes: sides of the pictures, in turn; is_held_out: crops by which the judge is tested rather than trained. These
    have other seeds, poses and backgrounds, and are cropped as in evaluations; training crops vary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    purpose, parts = "heldout" if is_held_out else "training", []
    for first in progress_bar(range(0, num, PART), desc=f"{purpose} renders", unit="thousand"):
        path = folder / f"{purpose}_{first:06d}.npz"
        if not path.is_file():
            _write_part(path, range(first, min(first + PART, num)), sizes, seed, is_held_out)
        with np.load(path) as arrays:
            parts.append([torch.from_numpy(arrays[name]) for name in Crops._fields])
    return Crops(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _write_part(path: Path, numbers: range, sizes: Sequence[int], seed: int, is_held_out: bool) -> None:
    pixels = np.empty((len(numbers), 3, SIZE, SIZE), np.uint8)
    labels = np.empty((2, len(numbers)), np.int64)
    for row, number in enumerate(progress_bar(numbers, desc="pictures", unit="render", leave=False)):
        still = draw_judge_still(number, seed=seed, is_held_out=is_held_out)
        rendered = render(still.scene, sizes[number % len(sizes)])
        picture = np.rint(rendered.picture * 255).astype(np.uint8)
        context = CONTEXT if is_held_out else _draw_context(seed, number)
        pixels[row] = to_levels(crop_around(picture, rendered.mask > 0.5, size=SIZE, context=context))
        labels[:, row] = OBJECTS.index(still.description.object), MATERIAL_NAMES.index(still.description.material)
    with whole(path) as partial, partial.open("wb") as file:
        np.savez(file, pixels=pixels, objects=labels[0], materials=labels[1])


def to_levels(crop: Tensor) -> NDArray[np.uint8]:
    """Round pixels in [0, 1] to 8 bits."""
    return (crop * 255).round().clamp(0, 255).byte().numpy()


def _draw_context(seed: int, number: int) -> float:
    return np.random.default_rng(seed_of(seed, "judge's context", number)).uniform(*CONTEXTS)
