"""A clip that is a folder of pictures: its files in order, and their pixels."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UserError
from mimicbrush.files import list_pictures
from mimicbrush.pictures.decoding import decode_file

NUMBER = re.compile(r"(\d+)", re.ASCII)

log = logging.getLogger(__name__)


def list_frames(folder: Path) -> list[Path]:
    """List the frames of a folder in the order of their names; numbers in names count by their value: 2 before 10.

    Raises UserError if there is none, or if files whose names end in numbers leave one out.
    """
    files = sorted(list_pictures(folder), key=_numbered)
    if not files:
        raise UserError(f"{folder}: holds no pictures; give a folder of frames, or a clip")
    _refuse_gaps(folder, files)
    return files


def decode_frame_folder(folder: Path, files: Sequence[Path]) -> list[NDArray]:
    """Decode frames of a folder: levels (H, W, C) as in `Decoded`; raises UserError unless all have one size."""
    frames = [decode_file(file).levels for file in files]
    sizes = {frame.shape[1::-1] for frame in frames}
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise UserError(f"{folder} has frames of several sizes ({listed}); export all at one size")
    return frames


def warn_of_transparency(path: Path, frames: Sequence[NDArray]) -> None:
    """Say so if frames, levels as in `Decoded`, have transparent parts, which become white."""
    if any(levels.shape[2] == 4 and (levels[..., 3] < np.iinfo(levels.dtype).max).any() for levels in frames):
        log.warning("%s: transparent parts of its frames are taken as white", path)


def _numbered(path: Path) -> list[str | int]:
    """Key of a name, in which texts and numbers take turns."""
    return [int(part) if number % 2 else part for number, part in enumerate(NUMBER.split(path.name))]


def _refuse_gaps(folder: Path, files: list[Path]) -> None:
    """Raise UserError if files whose names end in numbers leave one out."""
    endings = [re.search(r"\d+$", file.stem) for file in files]
    if len(files) < 3 or not all(endings):
        return
    numbers = [int(ending[0]) for ending in endings]
    steps = [after - before for before, after in pairwise(numbers)]
    gap = next((place for place, step in enumerate(steps) if step > min(steps) > 0), None)
    if gap is not None:
        raise UserError(
            f"{folder}: frames are missing between {files[gap].name} and {files[gap + 1].name}; export all of the clip,"
            " or number them without a gap"
        )
