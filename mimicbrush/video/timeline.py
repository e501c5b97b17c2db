"""Playing time: the time stamps of a clip without their jumps.

Recordings that were paused, cut or joined have time stamps that jump, and live recordings state no duration. Where the
container's index leaves no doubt, no packet is read; otherwise the packets in doubt are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mimicbrush.video.pyav_container import explain_error, open_container, stated_duration, video_stream

SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose index says where a seek arrives; other clips are decoded from the start."""
INDEXED = SEEKABLE | {"avi"}
"""Containers whose index shows jumps of the time stamps. The others have none, or one that ends early."""
MAX_STILL = 10.0
"""Seconds without a frame from which the time stamps are said to jump. Screen recordings and slides keep a frame for
some seconds, and browsers write at least one keyframe in this time; with less, moments are lost to the gap."""
MAX_FALL = 0.5
"""Seconds by which time stamps may fall from one packet to the next because frames are reordered."""
MAX_REORDERED = 17
"""Largest number of frames by which a frame is stored before or after its turn: FFmpeg's bound for H.264, and one."""
MAX_MISSTATED = 0.05
"""Largest share by which the stated duration may differ from that of the packets and still be taken."""


class TimelinePart(NamedTuple):
    """A part of a clip in which the time stamps do not jump; all in seconds."""

    first: float
    """Time stamp of its first frame."""
    last: float
    """Time stamp of its last frame."""
    start: float
    """Playing time of its first frame."""

    def distance(self, stamp: float) -> float:
        """Seconds between a time stamp and this part; 0 inside of it."""
        return max(self.first - stamp, stamp - self.last, 0.0)


WHOLE = TimelinePart(0.0, float("inf"), 0.0)
"""The only part of a clip whose time stamps do not jump."""


class Timeline:
    """The parts of a clip in the order of the file, and a position that moves through them."""

    def __init__(self, parts: list[TimelinePart], duration: float) -> None:
        self.parts = parts
        self.duration = duration
        self.can_seek = all(before.last < after.first for before, after in pairwise(parts))
        self.index = 0
        self.stamp = float("-inf")

    def move_to(self, stamp: float, *, is_seek: bool) -> tuple[float, bool]:
        """Move on to a frame; gives its playing time, and whether the time stamps jumped since the last frame."""
        fell = not is_seek and stamp < self.stamp - MAX_FALL and self.index + 1 < len(self.parts)
        first = 0 if is_seek else self.index + fell
        before, self.index = self.index, min(range(first, len(self.parts)), key=lambda i: self.parts[i].distance(stamp))
        self.stamp = stamp
        part = self.parts[self.index]
        return part.start + (stamp - part.first), self.index != before

    def stamp_at(self, time: float) -> float:
        """The time stamp at a playing time."""
        part = next((part for part in reversed(self.parts) if part.start <= time), self.parts[0])
        return part.first + (time - part.start)


def read_timeline(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Timeline:
    """Find the parts of a clip, and its duration; raises UnusableInput (corrupt_frames).

    The packets that are read, if any, are read from a second container, as reading some containers cannot be undone.
    """
    stated = stated_duration(container, stream)
    if stated and not _may_jump(container, stream, stated):
        return Timeline([WHOLE], stated)
    with open_container(path) as scanned:
        stamps = packet_stamps(scanned, video_stream(scanned))
    if not len(stamps):
        return Timeline([WHOLE], stated)
    groups = split_at_jumps(stamps)
    steps = np.concatenate([np.diff(group) for group in groups])
    usual_step = float(np.median(steps)) if len(steps) else float(1 / (stream.average_rate or 25))
    parts, duration = _join(groups, frame_length=usual_step)
    is_right = stated and abs(stated - duration) <= max(MAX_FALL, MAX_MISSTATED * duration)
    timeline = Timeline(parts, duration) if len(parts) > 1 else Timeline([WHOLE], stated if is_right else duration)
    if not stated and timeline.can_seek and container.format.name in SEEKABLE:
        # Seeking to the end completes the index, which live recordings lack.
        try:
            for stamp in (int(stamps.max() / stream.time_base), stream.start_time or 0):
                container.seek(stamp, stream=stream)
        except av.FFmpegError as error:
            raise explain_error(error, "corrupt_frames") from None
    return timeline


def _may_jump(container: av.container.InputContainer, stream: av.VideoStream, stated: float) -> bool:
    """Whether the index leaves room for a jump of the time stamps."""
    if container.format.name not in INDEXED or not len(stream.index_entries):
        return True
    stamps = [entry.timestamp for entry in stream.index_entries]
    start = stamps[0] if stream.start_time is None else stream.start_time
    steps = np.diff([*stamps, start + float(stated / stream.time_base)])
    return bool(steps.max() * float(stream.time_base) > MAX_STILL)


def packet_stamps(container: av.container.InputContainer, stream: av.VideoStream) -> NDArray[np.float64]:
    """Time stamps of all packets in seconds, in the order of the file."""
    try:
        stamps = [packet.dts if packet.pts is None else packet.pts for packet in container.demux(stream) if packet.size]
    except av.FFmpegError as error:
        raise explain_error(error, "corrupt_frames") from None
    return np.array([stamp for stamp in stamps if stamp is not None], np.float64) * float(stream.time_base)


def split_at_jumps(stamps: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Split time stamps where they jump: each group rises without a gap."""
    steps = np.diff(np.unique(stamps))
    max_fall = max(MAX_FALL, MAX_REORDERED * float(np.median(steps))) if len(steps) else MAX_FALL
    falls, highest = [], stamps[0]
    jump, before_jump = -MAX_REORDERED, highest
    for index, stamp in enumerate(stamps):
        if stamp > highest + MAX_STILL:
            jump, before_jump = index, highest
        # The first frame after a gap may be stored before reordered frames of before it.
        is_late = index < jump + MAX_REORDERED and stamp > before_jump - max_fall
        if stamp < highest - max_fall and not is_late:
            falls.append(index)
            highest = stamp
        highest = max(highest, stamp)
    runs = [np.unique(run) for run in np.split(stamps, falls)]
    return [group for run in runs for group in np.split(run, np.flatnonzero(np.diff(run) > MAX_STILL) + 1)]


def _join(groups: Sequence[NDArray[np.float64]], *, frame_length: float) -> tuple[list[TimelinePart], float]:
    """Parts that follow one another in playing time, and their duration."""
    parts, start = [], 0.0
    for group in groups:
        parts.append(TimelinePart(float(group[0]), float(group[-1]), start))
        start += float(group[-1] - group[0]) + frame_length
    return parts, start
