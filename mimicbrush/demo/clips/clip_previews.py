"""Clips as the browser plays them: source and edit side by side, and masks over the source."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.files import whole
from mimicbrush.pictures.conversion import to_levels, to_pil
from mimicbrush.video.clip_writer import open_h264

SIDE = 384
"""Longer side of a shown frame, in pixels; smaller clips are enlarged, as a browser would blur them."""
GAP = 8
"""Pixels between the two clips."""
TINT = torch.tensor([1.0, 0.2, 0.2])[:, None, None]
"""Colour of a mask over the source."""
OPACITY = 0.55


def write_side_by_side(path: Path, source: Tensor, edited: Tensor, *, fps: float) -> Path:
    """Write frames (T, 3, H, W) of the source, on the left, and of the edit as H.264; returns the path."""
    pairs = ((_shown(before), _shown(after)) for before, after in zip(source, edited, strict=True))
    return _write(path, (np.concatenate([left, _gap(left), right], axis=1) for left, right in pairs), fps)


def write_mask_overlay(path: Path, source: Tensor, mask: Tensor, *, fps: float) -> Path:
    """Write frames (T, 3, H, W), tinted where the mask (T, 1, H, W) is 1, as H.264; returns the path."""
    tinted = torch.where(mask > 0.5, torch.lerp(source, TINT.expand_as(source), OPACITY), source)
    return _write(path, map(_shown, tinted), fps)


def _shown(frame: Tensor) -> NDArray[np.uint8]:
    """Scale a frame to the shown size, with even sides, which H.264 with halved colours needs."""
    scale = SIDE / max(frame.shape[1:])
    height, width = (max(2, 2 * round(side * scale / 2)) for side in frame.shape[1:])
    return np.asarray(to_pil(to_levels(frame)).convert("RGB").resize((width, height)))


def _gap(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.full((len(frame), GAP, 3), 255, np.uint8)


def _write(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    with whole(path) as partial, open_h264(partial, fps=Fraction(fps).limit_denominator(1001)) as write_frame:
        for frame in frames:
            write_frame(frame)
    return path
