"""Photographs of things that are known: crops of one texture show one thing, with the same details."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.config import PhotographShardConfig, WorkConfig
from data_prep.inputs.photograph_files import SourceFiles
from tests.data_prep.conftest import texture


def write_view(path: Path, *, thing: int = 0, shift: int = 0, alpha: np.ndarray | None = None) -> Path:
    """Write a view of a thing, 96 x 80 pixels, seen from `shift` pixels further right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = texture(thing, 80, 240)[:, shift : shift + 96]
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


def write_subjects(folder: Path, **subjects: int) -> Path:
    """write_subjects(folder, dog=3): three views of a thing in folder/dog."""
    for thing, (name, number) in enumerate(subjects.items()):
        for view in range(number):
            write_view(folder / name / f"{view:02d}.png", thing=thing, shift=16 * view)
    return folder


def box_mask_levels(height: int = 80, width: int = 96) -> np.ndarray:
    """(H, W): white in a box of 30 x 40 pixels."""
    levels = np.zeros((height, width), np.uint8)
    levels[20:60, 30:60] = 255
    return levels


def config_for(photographs: Path, output: Path, **fields: object) -> PhotographShardConfig:
    return PhotographShardConfig(
        photographs=photographs, output=output, **{"short_side": 64, "work": WorkConfig(workers=1), **fields}
    )


def files_of(source: Path, reference: Path, **fields: object) -> SourceFiles:
    return SourceFiles(
        file=source.name, source=source, references={reference.name: reference}, facts={"group": "g"}, **fields
    )
