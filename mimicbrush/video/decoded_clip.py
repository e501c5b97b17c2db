"""What decoding a clip gives, whichever decoder did it."""

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
"""Seconds, or how to choose them for a clip of a given duration in seconds."""


class Frame(NamedTuple):
    """One decoded frame that was asked for."""

    time: float
    """Its true presentation time in seconds, counted from the clip's first frame."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright, with square pixels."""


class Thumbnail(NamedTuple):
    """What is kept of every frame that was decoded on the way."""

    time: float
    """Seconds, as in `Frame`."""
    luma: NDArray[np.uint8]
    """(36, 64) grey levels."""
    after_gap: bool
    """Whether frames before it were passed over by a seek, unseen."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a clip says about itself."""

    duration: float
    """Seconds, 0 where the container does not know."""
    width: int
    """As shown: after rotation and with square pixels."""
    height: int
    codec: str
    rotation: int
    """Degrees that the container asks a player to turn the picture by."""


class DecodedClip(NamedTuple):
    """The frames asked for, and a trail of thumbnails between them, both in order of time."""

    frames: list[Frame]
    thumbnails: list[Thumbnail]
    decoder: str
    """Which decoder made them."""
    info: VideoInfo


def choose_times(times: Times, info: VideoInfo) -> list[float]:
    """The moments asked for, rising; raises UnusableInput where they depend on a duration that nobody knows."""
    if callable(times):
        if info.duration <= 0:
            raise UnusableInput("no_duration", "the container does not say how long it is")
        times = times(info.duration)
    return sorted(times)


def fit_size(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Width and height of a clip's frames with the short side at most `short_side`; never enlarged."""
    scale = min(1.0, short_side / min(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def shrink_luma(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) to a thumbnail's (36, 64), averaged."""
    return cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
