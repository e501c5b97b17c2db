"""Frames, thumbnails and facts of a decoded clip, as every decoder gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput

THUMBNAIL_SIZE = (64, 36)
"""Width and height of a thumbnail."""


Times = Sequence[float] | Callable[[float], Sequence[float]]
"""Times in seconds, or a function that chooses them for a clip of a given duration in seconds."""


class Frame(NamedTuple):
    """One of the frames that were asked for."""

    time: float
    """Presentation time in seconds, counted from the clip's first frame."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright, with square pixels."""


class Thumbnail(NamedTuple):
    """A small grey picture of one frame, kept for every frame that was decoded on the way."""

    time: float
    """Presentation time in seconds, as in `Frame`."""
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
    """Facts about a clip, as its container and its first frame state them."""

    duration: float
    """Duration in seconds; 0 if the container does not state it."""
    width: int
    """Width on screen in pixels: after rotation and with square pixels."""
    height: int
    """Height on screen in pixels."""
    codec: str
    """Name of the codec, e.g. h264."""
    rotation: int
    """Degrees by which the container asks a player to rotate the picture."""


class DecodedClip(NamedTuple):
    """The frames that were asked for, and thumbnails of all frames decoded on the way, both in order of time."""

    frames: list[Frame]
    thumbnails: list[Thumbnail]
    decoder: str
    """Name of the decoder: pyav or decord."""
    info: VideoInfo


def choose_times(times: Times, info: VideoInfo) -> list[float]:
    """The times asked for, in rising order; raises UnusableInput if they depend on an unknown duration."""
    if callable(times):
        if info.duration <= 0:
            raise UnusableInput("no_duration", "the container does not say how long it is")
        times = times(info.duration)
    return sorted(times)


def fit_size(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Width and height of a clip's frames scaled to a short side of at most `short_side`, never enlarged."""
    scale = min(1.0, short_side / min(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def shrink_luma(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average (H, W) grey levels down to a thumbnail's (36, 64)."""
    return cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
