"""Write captioned clips as H.264, each with its exact flow and its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_prep.world.write_stills import CAPTIONS, write_table
from mimicbrush.files import whole
from mimicbrush.flow.flow_files import write_flow
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.world.renderer.exact_flow import exact_flow
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.projection import object_to_picture
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.sets.draws import DrawnClip, draw_clip
from mimicbrush.world.sets.edits import to_8_bits
from mimicbrush.world.sets.splits import MATERIALS, training_with

FPS = 12
"""Frames per second."""
FLOW, LAYERS = "_flow.npz", "_layers.npz"


def clip_path(folder: Path, number: int) -> Path:
    """Path of a clip, which is written after the files beside it."""
    return folder / f"clip_{number:06d}.mp4"


def is_clip_written(folder: Path, number: int) -> bool:
    """Whether a clip is complete."""
    return clip_path(folder, number).is_file()


def draw_training_clip(number: int, *, seed: int, textures: Mapping[str, Material]) -> DrawnClip:
    """Draw a clip for training; textures: materials of a user's pictures, by name."""
    return draw_clip(number, seed=seed, combinations=training_with(textures), materials=MATERIALS | textures)


def write_clip(
    number: int, *, folder: Path, size: int, frames: int, seed: int, textures: Mapping[str, Material]
) -> int:
    """Render and write one clip with its flow and layers; returns 1."""
    path = clip_path(folder, number)
    scenes = draw_training_clip(number, seed=seed, textures=textures).motion.scenes(frames)
    flows = [exact_flow(first, second, size) for first, second in pairwise(scenes)]
    visible = np.stack([each.visible for each in flows])[:, None]
    write_flow(np.stack([each.flow for each in flows]), path.with_name(path.stem + FLOW), visible=visible)
    pictures = _write_layers(scenes, path.with_name(path.stem + LAYERS), size)
    with whole(path) as partial:
        write_h264(partial, pictures, fps=FPS)
    return 1


def write_clip_captions(folder: Path, num: int, *, seed: int, textures: Mapping[str, Material]) -> None:
    """Write `captions.csv` as for stills, with a column that says whether the light changes."""
    drawn = [draw_training_clip(number, seed=seed, textures=textures) for number in range(num)]
    rows = (
        (clip_path(folder, number).name, each.caption, *each.description, "yes" if each.is_relit else "no")
        for number, each in enumerate(drawn)
    )
    header = ("file", "caption", "object", "material", "background", "light_changes")
    write_table(folder / CAPTIONS, header, rows)


def _write_layers(scenes: Sequence[Scene], path: Path, size: int) -> list[np.ndarray]:
    """Write the layers of all frames, from which a picture is background * shadow * (1 - alpha) + colours * alpha.

    A layer's own coordinates, from -1 to 1, are mapped to the picture, from 0 to 1, by one homography for each frame.
    Returns the pictures (H, W, 3) of 8 bits.
    """
    rendered = [render(scene, size) for scene in scenes]
    homographies = {
        "foreground_to_picture": [object_to_picture(scene, scene.subject.pose) for scene in scenes],
        "background_to_picture": [object_to_picture(scene, scene.background.pose) for scene in scenes],
    }
    levels = {name: [getattr(each, name) for each in rendered] for name in ("foreground", "background", "shadow")}
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            **{name: to_8_bits(np.stack(layer)) for name, layer in levels.items()},
            **{name: np.stack(matrices) for name, matrices in homographies.items()},
        )
    return [to_8_bits(each.picture) for each in rendered]
