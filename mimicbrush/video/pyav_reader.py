"""Read frames by PyAV: one pass forwards, with seeks if the container's index names a keyframe on the way.

Frames that no other frame refers to (half of most clips by x264) need not be decoded: unless exact frames are asked
for, each time is snapped to the last reference frame at or before it. A full decode gives the same frames, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av

from mimicbrush.errors import UnusableInput
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Keep, Thumbnail, fit_size
from mimicbrush.video.frame_pictures import to_rgb, to_thumbnail
from mimicbrush.video.pyav_container import describe, explain, open_container, video_stream

SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose index says where a seek arrives; other clips are decoded from the start."""
FURTHER_LEADS = (1.0, float("inf"))
"""Seconds before the wanted time to seek to, one after the other, if the first seek arrived after it."""
MIN_SKIP = 0.3
"""Seconds by which a keyframe must be ahead of the frame on screen: a seek takes as long as decoding a few frames."""
TOLERANCE = 1e-4
"""Seconds by which a frame may start after a time and still count as on screen then, as time stamps are rounded."""
MAX_REFERENCE_STEP = 4
"""One more than the largest number of frames that encoders place between two reference frames by default."""


@contextmanager
def open_with_pyav(path: Path, *, short_side: int = 1, exact: bool = True) -> Iterator[PyavReader]:
    """Open a clip; options and exceptions as in `clip_reader.open_clip`."""
    with open_container(path) as container:
        yield PyavReader(container, short_side=short_side, exact=exact)


class PyavReader:
    """A position in a clip that moves forward in time: the frame on screen, and the one after it."""

    def __init__(self, container: av.container.InputContainer, *, short_side: int, exact: bool) -> None:
        """Decode the clip's first two frames. exact: consider all frames; otherwise only reference frames."""
        self.container = container
        self.stream = video_stream(container)
        self.stream.codec_context.skip_frame = "DEFAULT" if exact else "NONREF"
        self.frame_length = float(1 / self.stream.average_rate) if self.stream.average_rate else 0.04
        # The index counts in decoding time, which is ahead of presentation time by the number of reordered frames.
        self.lead = (self.stream.codec_context.has_b_frames + 1) * self.frame_length
        self.slack = 1 if exact else MAX_REFERENCE_STEP
        self.can_seek = container.format.name in SEEKABLE and self._has_index()
        self.origin = 0.0
        self.keep: Keep | None = None
        self.frames: list[Frame] = []
        self.thumbnails: list[Thumbnail] = []
        self.given: set[float] = set()
        self.newest = float("-inf")
        self._start_decoding()
        if self.shown is None:
            raise UnusableInput("too_short", "holds no frame")
        self.origin = self.shown.time
        self.thumbnails = [thumbnail._replace(time=thumbnail.time - self.origin) for thumbnail in self.thumbnails]
        self.newest = self.thumbnails[-1].time
        self.info = describe(container, self.stream, self.shown)
        self.size = fit_size(self.info, short_side)

    @property
    def time(self) -> float:
        """Presentation time of the frame on screen, in seconds from the clip's first frame."""
        return self.shown.time - self.origin

    def read(self, times: Sequence[float], *, keep: Keep | None = None) -> DecodedClip:
        """Read the next stretch of the clip, as described in `clip_reader.ClipReader`."""
        self.keep = keep
        # At the first call, these are the two frames that were decoded when the clip was opened.
        for thumbnail, frame in zip(self.thumbnails, (self.shown, self.upcoming), strict=False):
            self._ask_to_keep(thumbnail, frame)
        for time in sorted(times):
            if self._move_to(time) is not None:
                self._give(self.time, self.shown)
        clip = DecodedClip(sorted(self.frames, key=lambda frame: frame.time), self.thumbnails, "pyav", self.info)
        self.frames, self.thumbnails = [], []
        return clip

    def _give(self, time: float, frame: av.VideoFrame) -> None:
        """Add a frame to those of this stretch, unless it was given before."""
        if time not in self.given:
            self.given.add(time)
            self.frames.append(Frame(time, to_rgb(frame, self.size)))

    def _ask_to_keep(self, thumbnail: Thumbnail, frame: av.VideoFrame) -> None:
        if self.keep is not None and self.keep(thumbnail):
            self._give(thumbnail.time, frame)

    def _move_to(self, time: float) -> av.VideoFrame | None:
        """Move to the frame on screen at `time`, or stay at a later one; None after the clip's end."""
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
                raise explain(error, "corrupt_frames") from None
            self._start_decoding(wanted=time + self.origin)
            if self.shown is not None and self.time <= time + TOLERANCE:
                return

    def _start_decoding(self, *, wanted: float | None = None) -> None:
        self.decoder = _intact_frames(self.container, self.stream, wanted=wanted)
        self.shown = self._next(after_gap=wanted is not None)
        self.upcoming = self._next()

    def _next(self, *, after_gap: bool = False) -> av.VideoFrame | None:
        frame = next(self.decoder, None)
        # A seek may arrive at frames that were decoded before.
        if frame is not None and frame.time - self.origin > self.newest:
            self.newest = frame.time - self.origin
            thumbnail = Thumbnail(self.newest, to_thumbnail(frame), after_gap)
            self.thumbnails.append(thumbnail)
            self._ask_to_keep(thumbnail, frame)
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
        raise explain(error, "corrupt_frames") from None
