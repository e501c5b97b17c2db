"""Faults of the pictures of one benchmark sample: missing files, other formats, sizes, and the content of masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mimicbrush.benchmark_layout import part_of
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import is_masked, mask_bytes
from mimicbrush.pictures.decoding import decode_frames
from mimicbrush.pictures.mask_geometry import MAX_GREY, grey_share

Content = TypeVar("Content")

MIN_SIDE = 16
"""Smallest side of a picture in pixels; a smaller one shows nothing to imitate."""


def describe_part(suffix: str) -> str:
    """Name a part of a sample in words: `source mask` for `_source_mask.png`."""
    return part_of(suffix).removeprefix("_").replace("_", " ")


def file_faults(
    folder: Path, name: str, suffix: str, parts: Mapping[str, list[Path]], *, is_optional: bool
) -> list[str]:
    """Name a picture that is missing, present in several formats, or not PNG.

    parts: the sample's files by part, as `find_pictures` returns them.
    """
    expected, part, found = f"{name}{suffix}", describe_part(suffix), parts.get(part_of(suffix), [])
    names = [path.name for path in found]
    if not found:
        return [] if is_optional else [f"{name}: {part} is missing ({expected})"]
    if len(found) > 1:
        return [f"{name}: {part} is there {len(found)} times ({', '.join(names)}); keep only {expected}"]
    if names != [expected]:
        return [f"{name}: {part} is {names[0]}; save it as PNG, {expected}"]
    return []


def try_read(
    read: Callable[[Path], Content], folder: Path, name: str, suffix: str, faults: list[str]
) -> Content | None:
    """Read a file; return None if it does not exist, or if it cannot be read, which is added to `faults`."""
    path = folder / f"{name}{suffix}"
    if not path.is_file():
        return None
    try:
        return read(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        faults.append(f"{name}: {describe_part(suffix)} ({path.name}) is {reason}")
        return None


def size_faults(label: str, picture: Tensor | None) -> list[str]:
    """Name a picture (C, H, W) that is too small."""
    if picture is None or min(picture.shape[1:]) >= MIN_SIDE:
        return []
    return [f"{label} is {format_size(picture)}, expected at least {MIN_SIDE} pixels a side"]


def read_mask_levels(path: Path) -> Tensor:
    """Read a mask as (1, H, W) in 0..255; a clip's mask becomes the maximum over its frames."""
    return torch.from_numpy(np.max([mask_bytes(levels) for levels in decode_frames(path)], axis=0))[None]


def frame_faults(label: str, num_frames: int, num_source: int) -> list[str]:
    """Name a mask with neither one frame nor as many as the source."""
    if num_frames in (1, num_source):
        return []
    return [f"{label} has {num_frames} frames, source has {num_source}; export as many, or one for all"]


def mask_faults(
    label: str, levels: Tensor | None, owner: str, picture: Tensor | None, *, may_be_full: bool
) -> list[str]:
    """List the faults of a mask's content; levels: (1, H, W) in 0..255."""
    if levels is None:
        return []
    if picture is not None and levels.shape[1:] != picture.shape[1:]:
        return [f"{label} is {format_size(levels)}, {owner} is {format_size(picture)}; export both at one size"]
    grey = grey_share(levels[0].numpy())
    if grey > MAX_GREY:
        return [f"{label} is grey in {grey:.1%} of its pixels; paint it in black and white only"]
    mask = is_masked(levels)
    if not mask.any():
        return [f"{label} is empty; paint the region to edit white"]
    if mask.all() and not may_be_full:
        return [f"{label} is full; leave the region to keep black"]
    return []


def format_size(pixels: Tensor) -> str:
    """Format the size of a picture (C, H, W) or of frames (T, C, H, W) as width x height."""
    size = f"{pixels.shape[-1]}x{pixels.shape[-2]}"
    return f"{len(pixels)} frames of {size}" if pixels.ndim == 4 and len(pixels) > 1 else size
