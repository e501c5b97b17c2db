"""Frames from a video file, an animated picture, or a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.pictures.conversion import on_white, to_channels
from mimicbrush.pictures.reading import read_frames
from mimicbrush.video.frame_folder import decode_frame_folder, list_frames
from mimicbrush.video.whole_clip import as_tensor, read_whole_clip


class FrameSequence(NamedTuple):
    """Frames as they were read."""

    frames: Tensor
    """(T, 3, H, W) in [0, 1], on white; a still has T = 1."""
    fps: float | None
    """Frames a second; None for pictures."""


def read_frame_sequence(path: Path, *, max_frames: int) -> FrameSequence:
    """Read a clip, an animated picture, a still, or a folder of pictures in the order of their names.

    Raises UserError where the path holds no picture or clip, too many frames, or frames of several sizes, and where
    numbered pictures leave one out.
    """
    if path.is_dir():
        files = list_frames(path)
        _check_number(path, len(files), max_frames)
        frames = [on_white(to_channels(levels)) for levels in decode_frame_folder(path, files)]
        return FrameSequence(torch.stack(frames), None)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        frames = read_frames(path)
        _check_number(path, len(frames), max_frames)
        return FrameSequence(frames, None)
    clip = read_whole_clip(path, max_frames=max_frames)
    return FrameSequence(as_tensor(clip), clip.fps)


def _check_number(path: Path, num_frames: int, max_frames: int) -> None:
    if not 1 <= num_frames <= max_frames:
        raise UserError(f"{path} has {num_frames} frames, expected 1 to max_frames = {max_frames}")
