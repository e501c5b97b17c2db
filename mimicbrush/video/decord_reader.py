"""Read frames by decord, which is not installed on every platform."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.video.decoded_clip import (
    DecodedClip,
    Frame,
    Thumbnail,
    Times,
    VideoInfo,
    choose_times,
    fit_size,
    shrink_luma,
)

# By default decord retries the end of a wrongly indexed file 10 240 times, for half a minute; with fewer than a few
# hundred retries it loses frames of intact files. It reads the variable when it is imported. cv2 must be imported
# before decord: imported later, OpenCV gets decord's zlib and cannot read PNG.
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "1024")
try:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
except (ImportError, OSError):  # no wheels exist for arm64 and macOS
    decord = None


def read_with_decord(path: Path, times: Times, info: VideoInfo, *, short_side: int) -> DecodedClip:
    """Read the frames on screen at the given times, each once, with a short side of at most `short_side`.

    decord gives only the frames asked for, so there is a gap before every thumbnail. It does not detect damaged frames.
    Raises UnusableInput (no_decoder, unreadable, no_duration).
    """
    if decord is None:
        raise UnusableInput("no_decoder", "decord is not installed here; use decoder auto or pyav")
    try:
        # One thread: two take more CPU time, and worker processes already fill the cores.
        width, height = fit_size(info, short_side)
        reader = decord.VideoReader(str(path), width=width, height=height, num_threads=1)
        starts = _starts(reader)
        indices = _shown_at(starts, choose_times(times, info))
        images = reader.get_batch(indices).asnumpy() if indices else []
    except (RuntimeError, IndexError, decord.DECORDError) as error:
        raise UnusableInput("unreadable", first_line(error)) from None
    frames = [Frame(float(starts[index]), image) for index, image in zip(indices, images, strict=True)]
    thumbnails = [Thumbnail(frame.time, _thumbnail(frame.image), after_gap=True) for frame in frames]
    return DecodedClip(frames, thumbnails, "decord", info)


def _starts(reader: decord.VideoReader) -> NDArray[np.floating]:
    """(N,) start of each frame in seconds from the first; raises UnusableInput if the times do not rise."""
    starts = reader.get_frame_timestamp(list(range(len(reader))))[:, 0]
    if len(starts) > 1 and not (np.diff(starts) > 0).all():
        raise UnusableInput("unreadable", "decord gives its frames times that do not rise; use decoder auto")
    return starts - starts[0]


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return shrink_luma(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _shown_at(starts: NDArray[np.floating], times: Sequence[float]) -> list[int]:
    """Index of the frame on screen at each time, without repeats; starts: (N,) seconds, rising."""
    last = len(starts) - 1
    length = float(starts[last] - starts[0]) / max(1, last)
    found = (int(np.searchsorted(starts, time + 1e-4, side="right")) - 1 for time in times)
    return sorted({max(0, index) for index, time in zip(found, times, strict=True) if time < starts[last] + length})
