"""Photographs that are shifted, turned, resized, sheared and slightly bent, with the exact flow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer import textures
from mimicbrush.world.renderer.exact_flow import BACKGROUND, ExactFlow
from mimicbrush.world.renderer.projection import pixel_centres, pose_homography, project
from mimicbrush.world.renderer.scene import Pose
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS, TEXTURES, sample_texture
from mimicbrush.world.sets.edits import to_8_bits

MAX_SHIFT = 0.1
"""Largest shift each way, as a fraction of the picture's side."""
MAX_ANGLE = 12.0
"""Largest rotation in degrees."""
MAX_STRETCH = 0.1
"""Largest change of each of the four numbers of the linear part, beside the rotation."""
MAX_BEND = 0.015
"""Largest displacement by each of two waves, as a fraction of the picture's side."""
SCALES = (0.5, 1.2)
"""Half of the photograph's shorter side, as a fraction of the picture's side."""
NUM_SEEDS = 10_000
"""Different places of a texture that are shown."""
PHOTOGRAPHS = (*TEXTURES, *BACKGROUND_PHOTOGRAPHS)


def warp_photograph(
    generator: np.random.Generator, size: int, *, is_held_out: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], ExactFlow]:
    """Draw a photograph and a warp, and return both pictures (size, size, 3) and the flow between them.

    is_held_out: show photographs that no training may see, rather than those for training. The second picture is a
    plain view; the first one shows at each point what the second shows where the flow leads, so that both are sampled
    once from the photograph.
    """
    names = [name for name in PHOTOGRAPHS if textures.is_held_out(name) == is_held_out]
    name = names[generator.integers(len(names))]
    x, y = pixel_centres(size)
    to_x, to_y = _warp(x, y, generator)
    pose = Pose(
        x=generator.uniform(0.3, 0.7),
        y=generator.uniform(0.3, 0.7),
        scale=generator.uniform(*SCALES),
        angle=generator.uniform(-180, 180),
    )
    own = np.linalg.inv(pose_homography(pose))
    arguments = {"step": 1 / (size * pose.scale), "seed": int(generator.integers(NUM_SEEDS))}
    first, second = (sample_texture(name, *project(own, *at), **arguments) for at in ((to_x, to_y), (x, y)))
    half_pixel = 0.5 / size
    is_inside = (np.minimum(to_x, to_y) >= half_pixel) & (np.maximum(to_x, to_y) <= 1 - half_pixel)
    flow = (size * np.stack([to_x - x, to_y - y])).astype(np.float32)
    return to_8_bits(first), to_8_bits(second), ExactFlow(flow, is_inside, np.full(x.shape, BACKGROUND))


def _warp(
    x: NDArray[np.float64], y: NDArray[np.float64], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move points of the picture, which reaches from 0 to 1, by a random affine motion and two waves."""
    angle = np.radians(generator.uniform(-MAX_ANGLE, MAX_ANGLE))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ (np.eye(2) + generator.uniform(-MAX_STRETCH, MAX_STRETCH, (2, 2)))
    points = np.stack([x - 0.5, y - 0.5])
    shift = generator.uniform(-MAX_SHIFT, MAX_SHIFT, 2) + 0.5
    moved = np.einsum("ij,jhw->ihw", linear, points) + shift[:, None, None]
    for _ in range(2):
        waves, phase = generator.uniform(-2 * np.pi, 2 * np.pi, 2), generator.uniform(0, 2 * np.pi)
        height = generator.uniform(-MAX_BEND, MAX_BEND, 2)
        moved += height[:, None, None] * np.sin(np.einsum("i,ihw->hw", waves, points) + phase)
    return moved[0], moved[1]
