"""Write the edit of a clip: the clip with the source's times and sound, and the layers of the result."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from mimicbrush.edit.clip_config import LayerFormat
from mimicbrush.files import whole_folder
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.requests import Edited
from mimicbrush.video.alpha_clip import write_alpha_clip
from mimicbrush.video.whole_clip import WholeClip, write_edited_clip

FRAME_NAME = re.compile(r"\d{5,}\.png")
"""Names of the frames of a layer that is a folder."""


def write_clip_result(
    edited: Edited,
    output: Path,
    clip: WholeClip,
    *,
    source: Path,
    record: str,
    layer_format: LayerFormat,
    why_kept: Callable[[Path], str | None],
) -> None:
    """Write an edited clip, and its layers beside it.

    source: file of `clip`; record: text to store in the result; layer_format: of layers with alpha. Other layers are
    animated PNGs, which can be given back as masks. why_kept: says why a layer's path is not written; None if it may
    be. A folder that holds anything but a layer's frames is kept as well.
    """
    frames = np.stack([to_levels(frame) for frame in edited.frames.float()])
    write_edited_clip(output, frames, clip, source=source, record=record)
    for name, layer in edited.layers.items():
        path = layer_path(output, name, layer.shape[1] == 4, layer_format)
        if reason := why_kept(path) or _why_kept(path):
            tqdm.write(f"{path} {reason}")
            continue
        if path.suffix == ".webm":
            write_alpha_clip(path, np.stack([to_levels(frame) for frame in layer.float()]), clip.times, fps=clip.fps)
        elif path.suffix:
            write_frames(layer, path)
        else:
            _write_sequence(layer, path)
        tqdm.write(f"layer {name} -> {path}")


def layer_path(output: Path, name: str, has_alpha: bool, layer_format: LayerFormat) -> Path:
    """Path of a layer beside an edited clip: an animated PNG, or with alpha a WebM or a folder of PNGs."""
    suffix = ".png" if not has_alpha else ".webm" if layer_format == "webm" else ""
    return output.with_name(f"{output.stem}-{name}{suffix}")


def _why_kept(folder: Path) -> str | None:
    """Why a folder at the path of a layer is not replaced; None if it holds a layer's frames alone."""
    inside = folder.iterdir() if folder.is_dir() else ()
    other = next((path.name for path in inside if not FRAME_NAME.fullmatch(path.name)), None)
    return other and f"holds {other}, which is not a frame of a layer and is kept; choose another output"


def _write_sequence(layer: Tensor, folder: Path) -> None:
    """Write a PNG for each frame, numbered from 1."""
    if folder.is_dir():
        shutil.rmtree(folder)
    with whole_folder(folder) as partial:
        for number, frame in enumerate(layer):
            write_image(frame, partial / f"{number + 1:05d}.png")
