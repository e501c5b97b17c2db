"""Open a container by PyAV: its video stream, and the facts that it states."""

from __future__ import annotations

import errno
from pathlib import Path

import av

from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.video.decoded_clip import VideoInfo

HDR_TRANSFERS = frozenset({16, 18})
"""PQ and HLG, by FFmpeg's numbers: such frames would need tone mapping to sRGB, which does not exist here."""


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file; raises UnusableInput (unreadable)."""
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if path.is_file() and path.stat().st_size == 0:
            raise UnusableInput("unreadable", "an empty file") from None
        raise explain(error, "unreadable") from None


def explain(error: Exception, reason: str) -> Exception:
    """The exception to raise for a decoder's error; a lack of memory is not the clip's fault."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        return MemoryError()
    return UnusableInput(reason, first_line(error))


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that is read; raises UnusableInput (no_video_stream)."""
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise UnusableInput("no_video_stream", "no video stream that can be decoded")
    # Slice threads, the default, hide `is_corrupt`; and worker processes already fill the cores.
    stream.thread_type = "NONE"
    return stream


def describe(container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> VideoInfo:
    """The facts of a clip; raises UnusableInput (hdr)."""
    if first.color_trc in HDR_TRANSFERS:
        raise UnusableInput("hdr", f"transfer characteristic {first.color_trc} (PQ or HLG)")
    width, height = _shown_size(stream, first)
    return VideoInfo(
        duration=_duration(container, stream),
        width=width,
        height=height,
        codec=stream.codec_context.codec.canonical_name,
        rotation=first.rotation,
    )


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Duration in seconds; 0 if neither stream nor container states it."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    starts_late = float((stream.start_time or 0) * stream.time_base) - (container.start_time or 0) / av.time_base
    return container.duration / av.time_base - starts_late if container.duration else 0.0


def _shown_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    size = max(1, round(frame.width * ratio)), frame.height
    return size if round(frame.rotation / 90) % 2 == 0 else size[::-1]
