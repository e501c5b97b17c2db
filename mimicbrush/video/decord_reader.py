"""Read frames by decord, which is not installed on every platform."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.video.decoded_clip import (
    DecodedClip,
    Frame,
    Keep,
    Thumbnail,
    VideoInfo,
    fit_size,
    shrink_luma,
)
from mimicbrush.video.frame_pictures import has_alpha
from mimicbrush.video.pyav_container import open_container, stated_duration, video_stream
from mimicbrush.video.pyav_decoder import Decoder
from mimicbrush.video.timeline import read_timeline

# By default decord retries the end of a wrongly indexed file 10 240 times, for half a minute; with fewer than a few
# hundred retries it loses frames of intact files. It reads the variable when it is imported. cv2 must be imported
# before decord: imported later, OpenCV gets decord's zlib and cannot read PNG.
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "1024")
try:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
except (ImportError, OSError):  # no wheels exist for arm64 and macOS
    decord = None


@contextmanager
def open_with_decord(path: Path, info: VideoInfo, *, short_side: int) -> Iterator[DecordReader]:
    """Open a clip; raises UnusableInput (no_decoder, unreadable)."""
    if decord is None:
        raise UnusableInput("no_decoder", "decord is not installed here; use decoder auto or pyav")
    width, height = fit_size((info.width, info.height), short_side)
    with _decoder_errors():
        # One thread: two take more CPU time, and worker processes already fill the cores.
        reader = DecordReader(decord.VideoReader(str(path), width=width, height=height, num_threads=1), info)
    yield reader


def suits_decord(path: Path) -> bool:
    """Whether decord can give a clip's frames as they are to be shown, judged by all of its keyframes.

    It cannot deinterlace, composite alpha, leave gaps of the time stamps out, give frames of several sizes, or open a
    clip without a stated duration.
    Raises UnusableInput as PyAV does.
    """
    geometries = set()
    with open_container(path) as container:
        stream = video_stream(container)
        is_regular = stated_duration(container, stream) and len(read_timeline(path, container, stream).parts) == 1
        decoder = Decoder(container, stream, exact=True)
        if not is_regular or decoder.is_in_decoding_order:
            return False
        decoder.context.skip_frame = "NONKEY"
        for frame, geometry, _ in decoder.frames():
            geometries.add(geometry)
            if frame.interlaced_frame or has_alpha(frame) or len(geometries) > 1:
                return False
    return True


class DecordReader:
    """A clip that decord has open. decord does not detect damaged frames."""

    def __init__(self, reader: decord.VideoReader, info: VideoInfo) -> None:
        self.reader = reader
        self.info = info
        self.starts = _starts(reader)
        self.last_index = -1

    def read(self, times: Sequence[float], *, keep: Keep | None = None, skip: bool = True) -> DecodedClip:
        """Read the next stretch of the clip, as described in `clip_reader.ClipReader`.

        decord gives only the frames asked for, so there is a gap before every thumbnail, and `keep` adds nothing.
        """
        with _decoder_errors():
            indices = [index for index in _shown_at(self.starts, times) if index > self.last_index]
            images = self.reader.get_batch(indices).asnumpy() if indices else []
        self.last_index = max([self.last_index, *indices])
        frames = [Frame(float(self.starts[index]), image) for index, image in zip(indices, images, strict=True)]
        thumbnails = [Thumbnail(frame.time, _thumbnail(frame.image), after_gap=True) for frame in frames]
        return DecodedClip(frames, thumbnails, "decord", self.info)


@contextmanager
def _decoder_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, IndexError, decord.DECORDError) as error:
        message = re.sub(r"^\[[\d:]+\] \S+:\d+: (\[.*?\] )?", "", first_line(error))
        raise UnusableInput("unreadable", f"decord says: {message}") from None


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
