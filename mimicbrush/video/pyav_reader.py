"""Frames by PyAV: one forward pass, with seeks where the container's index names a keyframe on the way.

Frames that no other frame builds on (half of most of x264's clips) need not be decoded: a random time is snapped to
the reference frame on screen at or before it. Those are bit for bit the frames of a full decode.
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
"""PQ and HLG, as FFmpeg numbers them: their values are no sRGB, and nothing here maps tones."""
SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose index says where a seek lands; others are decoded from the start."""
SCALING = Interpolation.AREA | Interpolation.FULL_CHR_H_INT
"""Averaging; without the flag colours lose half of their sharpness, and pictures a grey level of brightness."""
FURTHER_LEADS = (1.0, float("inf"))
"""Seconds before the wanted moment at which a keyframe is sought where the index led behind it."""
LUMA_STEP = 8
"""Every so many pixels of every so many rows make a thumbnail, averaged further down."""
MIN_SKIP = 0.3
"""Seconds by which a keyframe must lie ahead of the frame on screen: a seek costs a few frames itself."""
TOLERANCE = 1e-4
"""Seconds by which a frame may begin later and still be on screen: time stamps are rounded."""
SNAP_FRAMES = 4
"""Greatest number of frames between two reference frames that encoders use by default, and one."""


def probe_with_pyav(path: Path) -> VideoInfo:
    """Decode the first frame; raises UnusableInput (unreadable, no_video_stream, too_short, hdr, corrupt_frames)."""
    with _open(path) as container:
        return _Cursor(container).info


def read_with_pyav(path: Path, times: Times, *, short_side: int, exact: bool) -> DecodedClip:
    """The frames on screen at the given times, each once, with the short side at most `short_side`.

    exact: any frame may be on screen, else only reference frames. Raises UnusableInput (unreadable, no_video_stream,
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
    """The frame on screen and the one after it, moved forward in time."""

    def __init__(self, container: av.container.InputContainer, *, exact: bool = True) -> None:
        self.container = container
        self.stream = _video_stream(container)
        self.stream.codec_context.skip_frame = "DEFAULT" if exact else "NONREF"
        self.frame_length = float(1 / self.stream.average_rate) if self.stream.average_rate else 0.04
        # The index counts in decoding time, which runs ahead of the picture's by as many frames as are reordered.
        self.lead = (self.stream.codec_context.has_b_frames + 1) * self.frame_length
        self.slack = 1 if exact else SNAP_FRAMES
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
        """Of the frame on screen, in seconds from the clip's first."""
        return self.shown.time - self.origin

    def move_to(self, time: float) -> av.VideoFrame | None:
        """The frame on screen at `time`, which must not lie before the last one's; None behind the end."""
        if self.shown is not None and self.can_seek and self._keyframe_before(time):
            self._seek(time)
        while self.upcoming is not None and self.upcoming.time - self.origin <= time + TOLERANCE:
            self.shown, self.upcoming = self.upcoming, self._next()
        is_over = self.shown is None or (
            self.upcoming is None and time > self.time + self.slack * self.frame_length + TOLERANCE
        )
        return None if is_over else self.shown

    def _seek(self, time: float) -> None:
        """Go on from a keyframe at or before `time`; further back where the index led behind it."""
        for lead in (self.lead, *FURTHER_LEADS):
            try:
                self.container.seek(self._stamp(max(0.0, time - lead)), stream=self.stream)
            except av.FFmpegError as error:
                raise _explain(error, "corrupt_frames") from None
            self._start_decoding(wanted=time + self.origin)
            if self.shown is not None and self.time <= time + TOLERANCE:
                return

    def _start_decoding(self, *, wanted: float | None = None) -> None:
        self.frames = _sound_frames(self.container, self.stream, wanted=wanted)
        self.shown = self._next(after_gap=wanted is not None)
        self.upcoming = self._next()

    def _next(self, *, after_gap: bool = False) -> av.VideoFrame | None:
        frame = next(self.frames, None)
        # A seek may lead to frames that were seen before.
        if frame is not None and (not self.thumbnails or frame.time - self.origin > self.thumbnails[-1].time):
            self.thumbnails.append(Thumbnail(frame.time - self.origin, _thumbnail(frame), after_gap))
        return frame

    def _has_index(self) -> bool:
        if not len(self.stream.index_entries):
            try:  # Matroska reads its index at the first seek only
                self.container.seek(self.stream.start_time or 0, stream=self.stream)
            except av.FFmpegError:
                return False
        return True

    def _keyframe_before(self, time: float) -> bool:
        """Whether the container's index names a keyframe between the frame on screen and `time`."""
        entries = self.stream.index_entries
        position = entries.search_timestamp(self._stamp(time - self.lead), backward=True)
        ahead = self.shown.time + MIN_SKIP
        return position >= 0 and float(entries[position].timestamp * self.stream.time_base) > ahead

    def _stamp(self, time: float) -> int:
        return int((time + self.origin) / self.stream.time_base)


def _sound_frames(
    container: av.container.InputContainer, stream: av.VideoStream, *, wanted: float | None = None
) -> Iterator[av.VideoFrame]:
    """Decoded frames that carry a time; raises UnusableInput at the first damaged one, as later ones build on it.

    wanted: after a seek, the time in seconds that it was for; frames that lead up to the keyframe were cut off from
    what they build on and are passed over.
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
    """(H, W, 3), scaled to `size` (width, height, as shown), turned and mirrored as the container asks."""
    (x_from_x, x_from_y), (y_from_x, y_from_y) = _display_matrix(frame)
    coded_size = size[::-1] if x_from_y else size
    image = frame.to_ndarray(format="rgb24", width=coded_size[0], height=coded_size[1], interpolation=SCALING)
    if x_from_y:
        image, x_from_x, y_from_y = image.swapaxes(0, 1), y_from_x, x_from_y
    return np.ascontiguousarray(image[::y_from_y, ::x_from_x])


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32]:
    """(2, 2) of -1, 0 and 1: quarter turns and mirroring."""
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    return np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2]) if matrix else np.eye(2, dtype=np.int32)


def _thumbnail(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(36, 64) luma as it is coded: not turned, of either range."""
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
    """What to raise for a decoder's error; lack of memory is nothing that the clip is to blame for."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        return MemoryError()
    return UnusableInput(reason, first_line(error))


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise UnusableInput("no_video_stream", "no video stream that can be decoded")
    # Slice threads, the default, hide `is_corrupt`; workers fill the cores, not threads.
    stream.thread_type = "NONE"
    return stream


def _describe(container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> VideoInfo:
    """Read a clip's facts; raises UnusableInput (hdr)."""
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
    """Seconds, 0 where nobody says."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    starts_late = float((stream.start_time or 0) * stream.time_base) - (container.start_time or 0) / av.time_base
    return container.duration / av.time_base - starts_late if container.duration else 0.0


def _shown_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    size = max(1, round(frame.width * ratio)), frame.height
    return size if round(frame.rotation / 90) % 2 == 0 else size[::-1]
