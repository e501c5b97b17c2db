"""Open a container by PyAV: its video stream, and the facts that it states."""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from pathlib import Path

import av

from mimicbrush.errors import UnusableInput, first_line

IN_WORDS = {
    av.error.InvalidDataError: "the file is damaged or incomplete, or holds no video",
    av.error.ArgumentError: "the decoder cannot make sense of the video's data",
    av.error.EOFError: "the file ends before its video does",
    av.error.DecoderNotFoundError: "no decoder for this kind of video",
    av.error.DemuxerNotFoundError: "no reader for this kind of file",
    av.error.PatchWelcomeError: "the video uses a feature that the decoder lacks",
    FileNotFoundError: "no such file",
    PermissionError: "no permission to read the file",
    IsADirectoryError: "a folder, not a file",
}
"""Errors of FFmpeg and of the system in words."""


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file; raises UnusableInput (unreadable)."""
    try:
        container = av.open(str(path), metadata_errors="replace")
        if container.format.name != "png_pipe":
            return container
        # FFmpeg takes an animated PNG for a single picture unless the format is named.
        with suppress(av.FFmpegError):
            return av.open(str(path), format="apng")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        if path.is_file() and path.stat().st_size == 0:
            raise UnusableInput("unreadable", "an empty file") from None
        raise explain_error(error, "unreadable") from None


def explain_error(error: Exception, reason: str) -> Exception:
    """The exception to raise for a decoder's error; a lack of memory is not the clip's fault."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        return MemoryError()
    words = (words for kind, words in IN_WORDS.items() if isinstance(error, kind))
    return UnusableInput(reason, next(words, None) or _without_numbers(first_line(error)))


def _without_numbers(message: str) -> str:
    """A decoder's message without the number, the file and the function that PyAV adds."""
    return "the decoder says: " + re.sub(r"^\[Errno -?\d+\] |: '.*$", "", message)


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that is read; raises UnusableInput (no_video_stream)."""
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise UnusableInput("no_video_stream", "no video stream that can be decoded")
    # Slice threads, the default, hide `is_corrupt`; and worker processes already fill the cores.
    stream.thread_type = "NONE"
    return stream


def stated_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Duration in seconds that the file states; 0 if neither stream nor container states it."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    starts_late = float((stream.start_time or 0) * stream.time_base) - (container.start_time or 0) / av.time_base
    return container.duration / av.time_base - starts_late if container.duration else 0.0
