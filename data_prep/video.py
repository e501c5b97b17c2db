"""The one place that decodes video: frames at given times, from decord or PyAV, or a reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import av
import cv2  # noqa: F401 - before decord: loaded after it, OpenCV gets decord's zlib and reads no PNG
import numpy as np
from numpy.typing import NDArray

from data_prep.inputs import UnreadableInput

# decord retries the end of a wrongly indexed file 10 240 times (half a minute of spinning) unless told otherwise;
# it reads the variable when it is loaded.
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "64")
try:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
except (ImportError, OSError):  # there are no wheels for arm64 and macOS
    decord = None

Decoder = Literal["auto", "decord", "pyav"]

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"})
HDR_TRANSFERS = frozenset({16, 18})
"""PQ and HLG, as FFmpeg numbers them: their values are no sRGB, and nothing here maps tones."""
DECORD_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
"""What the FFmpeg 4.1 inside decord reads: no AV1."""


class Frame(NamedTuple):
    """One decoded frame."""

    time: float
    """Its true presentation time in seconds, counted from the clip's first frame."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright."""
    decoder: str
    """Which decoder made it."""


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


def probe(path: Path) -> VideoInfo:
    """Open a clip and decode its first frame; raises UnreadableInput (unreadable, no_video_stream, hdr)."""
    with _open(path) as container:
        stream = _video_stream(container)
        first = next(_sound_frames(container, stream), None)
        if first is None:
            raise UnreadableInput("too_short", "holds no frame")
        if first.color_trc in HDR_TRANSFERS:
            raise UnreadableInput("hdr", f"transfer characteristic {first.color_trc} (PQ or HLG)")
        width, height = _shown_size(stream, first)
        return VideoInfo(
            duration=_duration(container, stream),
            width=width,
            height=height,
            codec=stream.codec_context.codec.canonical_name,
            rotation=first.rotation,
        )


def read_frames(
    path: Path, times: Sequence[float], *, short_side: int, decoder: Decoder = "auto", info: VideoInfo | None = None
) -> list[Frame]:
    """The frames shown at the given times, in order of time, each frame once.

    times: seconds, any order; times behind the last frame give none. short_side: pixels; never enlarged.
    decoder: `auto` is decord where it can read the clip and PyAV otherwise; only PyAV tells damaged frames.
    Raises UnreadableInput (unreadable, no_video_stream, hdr, corrupt_frames, too_short).
    """
    info = info or probe(path)
    size = _fit(info.width, info.height, short_side)
    wanted = sorted(times)
    if decoder == "decord":
        frames = _read_with_decord(path, wanted, size)
    elif decoder == "auto" and decord is not None and info.codec in DECORD_CODECS and not info.rotation:
        frames = _try_decord(path, wanted, size)
    else:
        frames = _read_with_pyav(path, wanted, size)
    if not frames:
        raise UnreadableInput("too_short", f"no frame at or after {wanted[0]:.2f} s")
    return frames


def _fit(width: int, height: int, short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


# --- decord ---------------------------------------------------------------------------------------------------------


def _try_decord(path: Path, times: list[float], size: tuple[int, int]) -> list[Frame]:
    """decord's frames; PyAV's where decord fails or repeats a frame, as it does, silently, behind a short edit list."""
    try:
        frames = _read_with_decord(path, times, size)
    except UnreadableInput:  # PyAV may read it, and gives the true reason if it does not
        return _read_with_pyav(path, times, size)
    distinct = len({frame.image.tobytes() for frame in frames})
    return frames if distinct == len(frames) else _read_with_pyav(path, times, size)


def _read_with_decord(path: Path, times: list[float], size: tuple[int, int]) -> list[Frame]:
    if decord is None:
        raise UnreadableInput("no_decoder", "decord is not installed here; use decoder auto or pyav")
    try:
        # One thread: two cost more time in all, and the workers fill the cores.
        reader = decord.VideoReader(str(path), width=size[0], height=size[1], num_threads=1)
        starts = reader.get_frame_timestamp(list(range(len(reader))))[:, 0]
        starts = starts - starts[0]
        indices = _shown_at(starts, times)
        images = reader.get_batch(indices).asnumpy() if indices else []
    except (RuntimeError, IndexError, decord.DECORDError) as error:
        raise UnreadableInput("unreadable", _first_line(error)) from None
    return [Frame(float(starts[index]), image, "decord") for index, image in zip(indices, images, strict=True)]


def _shown_at(starts: NDArray[np.floating], times: list[float]) -> list[int]:
    """The index of the frame on screen at each time, without repeats; starts: (N,) seconds, rising."""
    last = len(starts) - 1
    length = float(starts[last] - starts[0]) / max(1, last)
    found = (int(np.searchsorted(starts, time + 1e-4, side="right")) - 1 for time in times)
    return sorted({max(0, index) for index, time in zip(found, times, strict=True) if time < starts[last] + length})


# --- PyAV -----------------------------------------------------------------------------------------------------------


def _read_with_pyav(path: Path, times: list[float], size: tuple[int, int]) -> list[Frame]:
    with _open(path) as container:
        stream = _video_stream(container)
        frames: list[Frame] = []
        for time, shown in _walk(container, stream, times):
            frames.append(Frame(time, _to_rgb(shown, size), "pyav"))
        return frames


def _walk(container: av.container.InputContainer, stream: av.VideoStream, times: list[float]) -> Iterator[tuple]:
    """(time, frame) on screen at each of the rising times, each frame once; seeks where a keyframe saves decoding."""
    origin = _start(stream)
    frames = _sound_frames(container, stream)
    shown = next(frames, None)
    upcoming = next(frames, None)
    given = None
    for time in times:
        if shown is None:
            return
        if _keyframe_between(stream, shown.time, time + origin):
            container.seek(int((time + origin) / stream.time_base), stream=stream)
            frames = _sound_frames(container, stream)
            shown, upcoming = next(frames, None), next(frames, None)
        while upcoming is not None and upcoming.time - origin <= time + 1e-4:
            shown, upcoming = upcoming, next(frames, None)
        if shown is None or (upcoming is None and time > shown.time - origin + _frame_length(stream)):
            return
        if shown.time != given:
            given = shown.time
            yield shown.time - origin, shown


def _keyframe_between(stream: av.VideoStream, now: float, then: float) -> bool:
    """Whether the container's index names a keyframe in (now, then]; Matroska lists none before the first seek."""
    entries = stream.index_entries
    position = entries.search_timestamp(int(then / stream.time_base), backward=True)
    # Half a second of margin: the index counts in decoding time, which runs ahead of presentation time.
    return position >= 0 and entries[position].timestamp * stream.time_base > now + 0.5


def _sound_frames(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decoded frames that carry a time; raises UnreadableInput at the first damaged one, as later ones build on it."""
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise UnreadableInput("corrupt_frames", f"damaged frame at {frame.time or 0:.2f} s")
            if frame.time is not None:
                yield frame
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableInput("corrupt_frames", _first_line(error)) from None


def _to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    turns = round(frame.rotation / 90) % 4
    width, height = size if turns % 2 == 0 else size[::-1]
    image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    return np.ascontiguousarray(np.rot90(image, turns))


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        detail = "an empty file" if path.is_file() and path.stat().st_size == 0 else _first_line(error)
        raise UnreadableInput("unreadable", detail) from None


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise UnreadableInput("no_video_stream", "no video stream that can be decoded")
    # Slice threads, the default, hide `is_corrupt`; workers fill the cores, not threads.
    stream.thread_type = "NONE"
    return stream


def _start(stream: av.VideoStream) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _frame_length(stream: av.VideoStream) -> float:
    return float(1 / stream.average_rate) if stream.average_rate else 0.04


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else 0.0


def _shown_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    size = max(1, round(frame.width * ratio)), frame.height
    return size if round(frame.rotation / 90) % 2 == 0 else size[::-1]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
