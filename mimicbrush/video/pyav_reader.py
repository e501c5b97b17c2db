"""Read frames by PyAV: one pass forwards, with seeks if the container's index names a keyframe on the way.

Frames that no other frame refers to (half of most clips by x264) need not be decoded: unless exact frames are asked
for, each time is snapped to the last reference frame at or before it. A full decode gives the same frames, bit for bit.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation
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

HDR_TRANSFERS = frozenset({16, 18})
"""PQ and HLG, by FFmpeg's numbers: such frames would need tone mapping to sRGB, which does not exist here."""
SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose index says where a seek arrives; other clips are decoded from the start."""
SCALING = Interpolation.AREA | Interpolation.FULL_CHR_H_INT
"""Area averaging. Without the flag, colours have half the width and pictures are a grey level darker."""
FURTHER_LEADS = (1.0, float("inf"))
"""Seconds before the wanted time to seek to, one after the other, if the first seek arrived after it."""
LUMA_STEP = 8
"""Step in pixels, in both directions, at which a frame is sampled before it is averaged down to a thumbnail."""
MIN_SKIP = 0.3
"""Seconds by which a keyframe must be ahead of the frame on screen: a seek takes as long as decoding a few frames."""
TOLERANCE = 1e-4
"""Seconds by which a frame may start after a time and still count as on screen then, as time stamps are rounded."""
MAX_REFERENCE_STEP = 4
"""One more than the largest number of frames that encoders place between two reference frames by default."""


def probe_with_pyav(path: Path) -> VideoInfo:
    """Decode the first frame; raises UnusableInput (unreadable, no_video_stream, too_short, hdr, corrupt_frames)."""
    with _open(path) as container:
        return _Cursor(container).info


def read_with_pyav(path: Path, times: Times, *, short_side: int, exact: bool) -> DecodedClip:
    """Read the frames on screen at the given times, each once, with a short side of at most `short_side`.

    exact: consider all frames; otherwise only reference frames. Raises UnusableInput (unreadable, no_video_stream,
    too_short, hdr, corrupt_frames, no_duration).
    """
    with _open(path) as container:
        cursor = _Cursor(container, exact=exact)
        size = fit_size(cursor.info, short_side)
        frames: list[Frame] = []
        for time in choose_times(times, cursor.info):
            shown = cursor.move_to(time)
            if shown is not None and (not frames or cursor.time > frames[-1].time):
                frames.append(Frame(cursor.time, _to_rgb(shown, size)))
        return DecodedClip(frames, cursor.thumbnails, "pyav", cursor.info)


class _Cursor:
    """A position in a clip that moves forward in time: the frame on screen, and the one after it."""

    def __init__(self, container: av.container.InputContainer, *, exact: bool = True) -> None:
        self.container = container
        self.stream = _video_stream(container)
        self.stream.codec_context.skip_frame = "DEFAULT" if exact else "NONREF"
        self.frame_length = float(1 / self.stream.average_rate) if self.stream.average_rate else 0.04
        # The index counts in decoding time, which is ahead of presentation time by the number of reordered frames.
        self.lead = (self.stream.codec_context.has_b_frames + 1) * self.frame_length
        self.slack = 1 if exact else MAX_REFERENCE_STEP
        self.thumbnails: list[Thumbnail] = []
        self.can_seek = container.format.name in SEEKABLE and self._has_index()
        self.origin = 0.0
        self._start_decoding()
        if self.shown is None:
            raise UnusableInput("too_short", "holds no frame")
        self.origin = self.shown.time
        self.thumbnails = [thumbnail._replace(time=thumbnail.time - self.origin) for thumbnail in self.thumbnails]
        self.info = _describe(container, self.stream, self.shown)

    @property
    def time(self) -> float:
        """Presentation time of the frame on screen, in seconds from the clip's first frame."""
        return self.shown.time - self.origin

    def move_to(self, time: float) -> av.VideoFrame | None:
        """Move to the frame on screen at `time`, which may not be before the current one; None after the clip's end."""
        if self.shown is not None and self.can_seek and self._keyframe_before(time):
            self._seek(time)
        while self.upcoming is not None and self.upcoming.time - self.origin <= time + TOLERANCE:
            self.shown, self.upcoming = self.upcoming, self._next()
        is_over = self.shown is None or (
            self.upcoming is None and time > self.time + self.slack * self.frame_length + TOLERANCE
        )
        return None if is_over else self.shown

    def _seek(self, time: float) -> None:
        """Seek to a keyframe at or before `time`, further back if the index pointed after it."""
        for lead in (self.lead, *FURTHER_LEADS):
            try:
                self.container.seek(self._stamp(max(0.0, time - lead)), stream=self.stream)
            except av.FFmpegError as error:
                raise _explain(error, "corrupt_frames") from None
            self._start_decoding(wanted=time + self.origin)
            if self.shown is not None and self.time <= time + TOLERANCE:
                return

    def _start_decoding(self, *, wanted: float | None = None) -> None:
        self.frames = _intact_frames(self.container, self.stream, wanted=wanted)
        self.shown = self._next(after_gap=wanted is not None)
        self.upcoming = self._next()

    def _next(self, *, after_gap: bool = False) -> av.VideoFrame | None:
        frame = next(self.frames, None)
        # A seek may arrive at frames that were decoded before.
        if frame is not None and (not self.thumbnails or frame.time - self.origin > self.thumbnails[-1].time):
            self.thumbnails.append(Thumbnail(frame.time - self.origin, _thumbnail(frame), after_gap))
        return frame

    def _has_index(self) -> bool:
        if not len(self.stream.index_entries):
            try:  # FFmpeg reads the index of a Matroska file only at the first seek
                self.container.seek(self.stream.start_time or 0, stream=self.stream)
            except av.FFmpegError:
                return False
        return True

    def _keyframe_before(self, time: float) -> bool:
        """Whether the container's index names a keyframe between the frame on screen and `time`, far enough ahead."""
        entries = self.stream.index_entries
        position = entries.search_timestamp(self._stamp(time - self.lead), backward=True)
        ahead = self.shown.time + MIN_SKIP
        return position >= 0 and float(entries[position].timestamp * self.stream.time_base) > ahead

    def _stamp(self, time: float) -> int:
        return int((time + self.origin) / self.stream.time_base)


def _intact_frames(
    container: av.container.InputContainer, stream: av.VideoStream, *, wanted: float | None = None
) -> Iterator[av.VideoFrame]:
    """Decode frames; raises UnusableInput at the first damaged one, as later frames refer to it, or one without a time.

    wanted: after a seek, the time in seconds that it was for. Frames shown before the keyframe that follow it in the
    file refer to frames before it, which were not decoded; they are skipped.
    """
    is_leading = wanted is not None
    try:
        for frame in container.decode(stream):
            if frame.time is None:
                raise UnusableInput("no_times", "its frames carry no time stamps")
            is_leading = is_leading and not frame.key_frame and frame.time < wanted
            if is_leading:
                continue
            if frame.is_corrupt:
                raise UnusableInput("corrupt_frames", f"damaged frame at {frame.time:.2f} s")
            yield frame
    except (av.FFmpegError, ValueError) as error:
        raise _explain(error, "corrupt_frames") from None


def _to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, scaled to `size` (width, height on screen), rotated and mirrored as the container asks."""
    (x_from_x, x_from_y), (y_from_x, y_from_y) = _display_matrix(frame)
    coded_size = size[::-1] if x_from_y else size
    image = frame.to_ndarray(format="rgb24", width=coded_size[0], height=coded_size[1], interpolation=SCALING)
    if x_from_y:
        image, x_from_x, y_from_y = image.swapaxes(0, 1), y_from_x, x_from_y
    return np.ascontiguousarray(image[::y_from_y, ::x_from_x])


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32]:
    """(2, 2) of -1, 0 and 1: rotation by quarter turns, and mirroring."""
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    return np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2]) if matrix else np.eye(2, dtype=np.int32)


def _thumbnail(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(36, 64) luma as it is coded: not rotated, in full or limited range."""
    if not frame.format.name.startswith(("yuv", "nv12")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return shrink_luma(np.ascontiguousarray(rows[::LUMA_STEP, ::LUMA_STEP]))


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if path.is_file() and path.stat().st_size == 0:
            raise UnusableInput("unreadable", "an empty file") from None
        raise _explain(error, "unreadable") from None


def _explain(error: Exception, reason: str) -> Exception:
    """The exception to raise for a decoder's error; a lack of memory is not the clip's fault."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        return MemoryError()
    return UnusableInput(reason, first_line(error))


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise UnusableInput("no_video_stream", "no video stream that can be decoded")
    # Slice threads, the default, hide `is_corrupt`; and worker processes already fill the cores.
    stream.thread_type = "NONE"
    return stream


def _describe(container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> VideoInfo:
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
