"""Pairs of pictures with the exact flow between them, each drawn by its number alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mimicbrush.seeds import seed_of
from mimicbrush.world.flow.warped_photographs import warp_photograph
from mimicbrush.world.render_parts import render_parts
from mimicbrush.world.renderer.exact_flow import BACKGROUND, ExactFlow, exact_flow
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.sets.draw_edits import draw_edits
from mimicbrush.world.sets.draws import draw_clip, draw_still
from mimicbrush.world.sets.edit_ingredients import MOVES, draw_move, with_subject
from mimicbrush.world.sets.edits import to_8_bits

NUM_KINDS = 4
"""Period of the kinds of training pairs: two moving objects, frames of a clip, a photograph."""
KINDS_OF_MOVES = tuple(dict.fromkeys(MOVES))
"""Each kind of move once: turns are harder to see than shifts, which are half of the moves in motion edits."""
LONGEST_STEP = 0.4
"""Largest distance in time of two frames of a clip, which lasts from 0 to 1."""

DrawPair = Callable[[int], tuple[NDArray[np.uint8], NDArray[np.uint8], ExactFlow]]


class MovingPairs(NamedTuple):
    """Pairs of pictures with the flow from the first to the second."""

    first: Tensor
    """(N, 3, H, W), 8 bits."""
    second: Tensor
    """(N, 3, H, W), 8 bits."""
    flow: Tensor
    """(N, 2, H, W) in pixels, half precision."""
    visible: Tensor
    """(N, 1, H, W), whether a point is seen in both pictures."""
    on_object: Tensor
    """(N, 1, H, W), whether a point belongs to a moving object; nowhere in photographs."""


def render_pairs(folder: Path, name: str, num: int, draw: DrawPair) -> MovingPairs:
    """Draw pairs 0 to num - 1, or read those that an earlier call with the same arguments left in the folder."""

    def draw_fields(number: int) -> dict[str, ArrayLike]:
        first, second, exact = draw(number)
        return {
            "first": first.transpose(2, 0, 1),
            "second": second.transpose(2, 0, 1),
            "flow": exact.flow.astype(np.float16),
            "visible": exact.visible[None],
            "on_object": (exact.front_object != BACKGROUND)[None],
        }

    return MovingPairs(**render_parts(folder, name, num, draw_fields))


def draw_training_pairs(seed: int, size: int) -> DrawPair:
    """Make the function that draws training pairs: moving objects, frames of clips and photographs in turn."""

    def draw(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], ExactFlow]:
        generator = np.random.default_rng(seed_of(seed, "flow pairs", number))
        if number % NUM_KINDS == NUM_KINDS - 1:
            return warp_photograph(generator, size, is_held_out=False)
        if number % NUM_KINDS == NUM_KINDS - 2:
            motion = draw_clip(number, seed=seed, purpose="flow").motion
            start = generator.random()
            stop = float(np.clip(start + generator.uniform(-LONGEST_STEP, LONGEST_STEP), 0, 1))
            return _render_both(motion.at(start), motion.at(stop), size)
        scene = draw_still(number, seed=seed, purpose="flow").scene
        kind = MOVES.index(KINDS_OF_MOVES[generator.integers(len(KINDS_OF_MOVES))])
        poses = draw_move(kind, size, generator)
        return _render_both(*(with_subject(scene, pose=pose) for pose in poses), size)

    return draw


def draw_heldout_objects(seed: int, size: int) -> DrawPair:
    """Make the function that draws source and truth of motion edits, whose combinations no training shows."""

    def draw(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], ExactFlow]:
        (edit,) = draw_edits("motion", number, seed=seed, vocabulary="seen", size=size)
        return _render_both(*edit.flow[0], size)

    return draw


def draw_heldout_photographs(seed: int, size: int) -> DrawPair:
    """Make the function that draws warped photographs that no training shows."""
    return lambda number: warp_photograph(
        np.random.default_rng(seed_of(seed, "held-out photographs", number)), size, is_held_out=True
    )


def _render_both(first: Scene, second: Scene, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], ExactFlow]:
    pictures = [to_8_bits(render(scene, size).picture) for scene in (first, second)]
    return *pictures, exact_flow(first, second, size)
