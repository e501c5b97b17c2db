"""Read frames by PyAV: one pass forwards, with seeks if the container's index names a keyframe on the way.

Frames that no other frame refers to (half of most clips by x264) need not be decoded: unless exact frames are asked
for, each time is snapped to the last reference frame at or before it. A full decode gives the same frames, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av

from mimicbrush.errors import UnusableInput
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Keep, Thumbnail, VideoInfo, fit_size
from mimicbrush.video.frame_pictures import deinterlace, has_alpha, to_rgb, to_thumbnail
from mimicbrush.video.pyav_container import explain_error, open_container, stated_duration, video_stream
from mimicbrush.video.pyav_decoder import DecodedFrame, Decoder
from mimicbrush.video.timeline import SEEKABLE, read_timeline

FURTHER_LEADS = (1.0, float("inf"))
"""Seconds before the wanted time to seek to, one after the other, if the first seek arrived after it."""
MIN_SKIP = 0.3
"""Seconds by which a keyframe must be ahead of the frame on screen: a seek takes as long as decoding a few frames."""
TOLERANCE = 1e-4
"""Seconds by which a frame may start after a time and still count as on screen then, as time stamps are rounded."""
MAX_REFERENCE_STEP = 4
"""One more than the largest number of frames that encoders place between two reference frames by default."""
MIN_CUES_LENGTH = 20.0
"""Shortest duration in seconds of a Matroska file whose cues are read: in a shorter one, seeks save little."""


@contextmanager
def open_with_pyav(path: Path, *, short_side: int = 1, exact: bool = True) -> Iterator[PyavReader]:
    """Open a clip; options and exceptions as in `clip_reader.open_clip`."""
    with open_container(path) as container:
        yield PyavReader(path, container, short_side=short_side, exact=exact)


class _Shown(NamedTuple):
    """A decoded frame and its time."""

    time: float
    """Playing time in seconds, counted from the clip's first frame."""
    decoded: DecodedFrame


class PyavReader:
    """A position in a clip that moves forward in time: the frame on screen, and the one after it."""

    def __init__(self, path: Path, container: av.container.InputContainer, *, short_side: int, exact: bool) -> None:
        """Decode the clip's first two frames. exact: consider all frames; otherwise only reference frames."""
        self.stream = video_stream(container)
        self.short_side = short_side
        self.can_seek = container.format.name in SEEKABLE and self._load_index(container)
        self.timeline = read_timeline(path, container, self.stream)
        self.decoder = Decoder(container, self.stream, exact=exact)
        self.can_seek = self.can_seek and self.timeline.can_seek and not self.decoder.is_in_decoding_order
        self.frame_length = float(1 / self.stream.average_rate) if self.stream.average_rate else 0.04
        # The index counts in decoding time, which is ahead of presentation time by the number of reordered frames.
        self.lead = (self.stream.codec_context.has_b_frames + 1) * self.frame_length
        self.slack = 1 if exact else MAX_REFERENCE_STEP
        self.origin: float | None = None
        self.latest: _Shown | None = None
        self.newest = float("-inf")
        self.keep: Keep | None = None
        self.unasked: list[tuple[Thumbnail, _Shown]] = []
        self.frames: list[Frame] = []
        self.thumbnails: list[Thumbnail] = []
        self.given: set[float] = set()
        self._start_decoding()
        if self.shown is None:
            raise UnusableInput("too_short", "holds no frame")
        self.info = self._describe()

    def read(self, times: Sequence[float], *, keep: Keep | None = None, skip: bool = True) -> DecodedClip:
        """Read the next stretch of the clip, as described in `clip_reader.ClipReader`."""
        self.keep = keep
        self._ask_to_keep()
        for i, time in enumerate(sorted(times)):
            if self._move_to(time, may_seek=skip or i == 0) is not None:
                self._give(self.shown)
        clip = DecodedClip(sorted(self.frames, key=lambda frame: frame.time), self.thumbnails, "pyav", self.info)
        self.frames, self.thumbnails = [], []
        return clip

    def _give(self, shown: _Shown) -> None:
        """Add a frame to those of this stretch, unless it was given before."""
        if shown.time in self.given:
            return
        self.given.add(shown.time)
        frame, geometry, previous = shown.decoded
        try:
            if frame.interlaced_frame:
                following = self.upcoming.decoded.frame if shown is self.shown and self.upcoming else None
                frame = deinterlace(frame, previous or following)
            image = to_rgb(frame, geometry, fit_size(geometry.shown_size, self.short_side))
        except (av.FFmpegError, ValueError) as error:
            raise explain_error(error, "unreadable") from None
        coded = shown.decoded.frame
        self.frames.append(Frame(shown.time, image, bool(coded.interlaced_frame), has_alpha(coded)))

    def _ask_to_keep(self) -> None:
        """Ask about the frames decoded since the last time."""
        for thumbnail, shown in self.unasked:
            if self.keep is not None and self.keep(thumbnail):
                self._give(shown)
        self.unasked = []

    def _move_to(self, time: float, *, may_seek: bool) -> _Shown | None:
        """Move to the frame on screen at `time`, or stay at a later one; None after the clip's end."""
        if may_seek and self.shown is not None and self.can_seek and self._keyframe_before(time):
            self._seek(time)
        while self.upcoming is not None and self.upcoming.time <= time + TOLERANCE:
            self.shown, self.upcoming = self.upcoming, self._next()
            self._ask_to_keep()
        is_over = self.shown is None or (
            self.upcoming is None and time > self.shown.time + self.slack * self.frame_length + TOLERANCE
        )
        return None if is_over else self.shown

    def _seek(self, time: float) -> None:
        """Seek to a keyframe at or before `time`, further back if the index pointed after it."""
        for lead in (self.lead, *FURTHER_LEADS):
            self.decoder.seek(self._stamp(max(0.0, time - lead)))
            self._start_decoding(wanted=self._stamp(time))
            self._ask_to_keep()
            if self.shown is not None and self.shown.time <= time + TOLERANCE:
                return

    def _start_decoding(self, *, wanted: float | None = None) -> None:
        self.decoding = self.decoder.frames(wanted=wanted)
        self.shown = self._next(after_seek=wanted is not None)
        self.upcoming = self._next()

    def _next(self, *, after_seek: bool = False) -> _Shown | None:
        """Decode the next frame whose time is later, or any after a seek; None at the clip's end."""
        for decoded in self.decoding:
            raw_time, starts_shot = self.timeline.move_to(decoded.stamp, is_seek=after_seek)
            if self.origin is None:
                self.origin = raw_time
            shown = _Shown(raw_time - self.origin, decoded)
            if self.latest is not None and not after_seek and shown.time <= self.latest.time:
                continue
            if self.latest is not None and decoded.geometry != self.latest.decoded.geometry:
                starts_shot = True
            self.latest = shown
            # A seek may arrive at frames that were decoded before.
            if shown.time > self.newest:
                self.newest = shown.time
                self.thumbnails.append(Thumbnail(shown.time, to_thumbnail(decoded.frame), after_seek, starts_shot))
                self.unasked.append((self.thumbnails[-1], shown))
            return shown
        return None

    def _describe(self) -> VideoInfo:
        width, height = self.shown.decoded.geometry.shown_size
        codec = self.stream.codec_context.codec.canonical_name
        duration = self.timeline.duration
        return VideoInfo(duration=duration, width=width, height=height, codec=codec)

    def _load_index(self, container: av.container.InputContainer) -> bool:
        """Whether there is an index; FFmpeg reads all of a Matroska file's only at the first seek."""
        num_entries = len(self.stream.index_entries)
        if not num_entries or (num_entries == 1 and stated_duration(container, self.stream) > MIN_CUES_LENGTH):
            try:
                container.seek(self.stream.start_time or 0, stream=self.stream)
            except av.FFmpegError:
                return False
        return True

    def _keyframe_before(self, time: float) -> bool:
        """Whether the container's index names a keyframe between the frame on screen and `time`, far enough ahead."""
        entries = self.stream.index_entries
        stamp = int(self._stamp(time - self.lead) / self.stream.time_base)
        position = entries.search_timestamp(stamp, backward=True)
        ahead = self.shown.decoded.stamp + MIN_SKIP
        return position >= 0 and float(entries[position].timestamp * self.stream.time_base) > ahead

    def _stamp(self, time: float) -> float:
        """The time stamp in seconds at a time."""
        return self.timeline.stamp_at(time + self.origin)
