"""Frames, thumbnails and facts of a decoded clip, as every decoder gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIZE = (64, 36)
"""Width and height of a thumbnail."""


Times = Sequence[float] | Callable[[float], Sequence[float]]
"""Times in seconds, or a function that chooses them for a clip of a given duration in seconds."""


class Frame(NamedTuple):
    """One of the frames that were asked for."""

    time: float
    """Playing time in seconds, counted from the clip's first frame: jumps of the time stamps are left out."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright, with square pixels; frames of one clip may differ in size."""
    deinterlaced: bool = False
    """Whether the frame is flagged as interlaced, so that its second field was replaced."""
    has_alpha: bool = False
    """Whether the frame may be transparent, and was composited on white."""


class Thumbnail(NamedTuple):
    """A small grey picture of one frame, kept for every frame that was decoded on the way."""

    time: float
    """Playing time in seconds, as in `Frame`."""
    luma: NDArray[np.uint8]
    """(36, 64) grey levels."""
    after_gap: bool
    """Whether a seek skipped frames right before this one, so that nobody has seen them."""
    starts_shot: bool = False
    """Whether size, aspect or rotation changed, or the time stamps jumped, right before this frame."""


Keep = Callable[[Thumbnail], bool]
"""Says whether a frame that was decoded on the way is kept."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Facts about a clip. Later frames may have another size."""

    duration: float
    """Playing time in seconds, without jumps of the time stamps."""
    width: int
    """Width on screen in pixels: after rotation and with square pixels."""
    height: int
    """Height on screen in pixels."""
    codec: str
    """Name of the codec, e.g. h264."""


class DecodedClip(NamedTuple):
    """The frames that were asked for, and thumbnails of all frames decoded on the way, both in order of time."""

    frames: list[Frame]
    thumbnails: list[Thumbnail]
    decoder: str
    """Name of the decoder: pyav or decord."""
    info: VideoInfo


def fit_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Width and height scaled to a short side of at most `short_side`, never enlarged."""
    width, height = size
    scale = min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink_luma(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average (H, W) grey levels down to a thumbnail's (36, 64)."""
    return cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
