"""Measures how well the exact flow of written clips warps their frames: evenly lit, as rendered, and as decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.world.write_clips import FPS, clip_path, draw_training_clip
from mimicbrush.video.clip_reader import read_frames
from mimicbrush.world.renderer.flow_check import warp_residual
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.render import Rendered, render
from mimicbrush.world.renderer.scene import EVEN_LIGHT, Scene

NUM_CLIPS = 16
"""Clips that are measured."""
NUM_FRAMES = 4
"""Frames of each of them, at its beginning."""


def measure_warp_error(
    folder: Path, num: int, *, frames: int, size: int, seed: int, textures: Mapping[str, Material]
) -> dict[str, float]:
    """Mean warp error in grey levels by kind of frames, away from borders of objects, over what is seen in both frames.

    num, frames: numbers of clips and of frames of each.
    """
    errors = defaultdict(list)
    for number in range(min(num, NUM_CLIPS)):
        drawn = draw_training_clip(number, seed=seed, textures=textures)
        light = "changing" if drawn.is_relit else "steady"
        scenes = drawn.motion.scenes(frames)[:NUM_FRAMES]
        even = [replace(scene, light=EVEN_LIGHT) for scene in scenes]
        rendered = [render(scene, size) for scene in scenes]
        errors["evenly lit"].append(_differences(even, [render(scene, size) for scene in even]))
        errors[f"as rendered, {light} light"].append(_differences(scenes, rendered))
        decoded = _decoded(clip_path(folder, number), rendered)
        errors[f"as decoded, {light} light"].append(_differences(scenes, decoded))
    pooled = {kind: np.concatenate(parts) for kind, parts in sorted(errors.items())}
    return {kind: round(float(parts.mean()), 2) for kind, parts in pooled.items() if parts.size}


def _differences(scenes: Sequence[Scene], frames: Sequence[Rendered]) -> NDArray[np.float32]:
    """Absolute differences (N, 3) of all compared pixels of successive frames."""
    pairs = zip(pairwise(scenes), pairwise(frames), strict=True)
    residuals = [warp_residual(pair, pictures) for pair, pictures in pairs]
    return np.concatenate([np.abs(each.difference[each.is_compared]) for each in residuals])


def _decoded(path: Path, rendered: Sequence[Rendered]) -> list[Rendered]:
    """Put the decoded frames of a clip in the place of the rendered ones."""
    times = [number / FPS for number in range(len(rendered))]
    decoded = read_frames(path, times, short_side=len(rendered[0].picture), exact=True).frames
    return [
        each._replace(picture=frame.image.astype(np.float32) / 255)
        for each, frame in zip(rendered, decoded, strict=True)
    ]
