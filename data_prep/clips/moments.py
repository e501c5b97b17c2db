"""Choose the moments of a clip at which frames are read.

A clip of up to 18 seconds is read at random moments all over it; if it may have several shots, it is read again in
full. A longer one is read in stretches of about 12 seconds, spread evenly over it, of which there are at most a third
as many as shots may be used. Wherever all frames are read, further ones are kept after each cut, so that short shots
have enough frames for pairs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from data_prep.clips.jumps import NUM_NEIGHBOURS, measure_jump, stands_out
from data_prep.config import PairConfig
from mimicbrush.errors import UnusableInput
from mimicbrush.video.clip_reader import ClipReader
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail

MAX_WHOLE = 18.0
"""Longest clip that is read as a whole, in seconds."""
STRETCH = 12.0
"""Largest length of the stretches of a longer clip, in seconds."""
SHOTS_PER_STRETCH = 3
"""Number of shots that a stretch gives at least, where a film has more stretches than are read."""
MAX_AREA = 2.5e7
"""Largest number of pixels of a frame, summed over the stretches: 12 at 1080p, 3 at 4K. Measured with 1080p, on a
busy machine: 47 to 70 CPU seconds for a film, a third to half of them for decoding; `work.timeout` is 120 s."""
FIRST_STEP = 0.05
"""Seconds from a cut, where the first further frame is kept, to the second; a shot of 0.4 s holds two that are far
enough apart for a pair."""
GROWTH = 1.6
"""Factor by which each step is longer than the one before: in a shot of 1.5 s there are 7, in one of 6 s 10."""


class Stretch(NamedTuple):
    """Part of a clip that is read at once, in seconds of playing time."""

    start: float
    end: float


def plan_stretches(duration: float, frame_area: int, config: PairConfig) -> tuple[list[Stretch], int]:
    """The stretches of a clip that are read, and the number of stretches that it has.

    frame_area: width times height of the clip in pixels.
    """
    if duration <= MAX_WHOLE:
        return [Stretch(0.0, duration)], 1
    total = ceil(duration / STRETCH)
    num = max(1, min(total, config.shots_per_clip // SHOTS_PER_STRETCH, int(MAX_AREA / frame_area)))
    chosen = [int((i + 0.5) * total / num) for i in range(num)]
    return [Stretch(number * duration / total, (number + 1) * duration / total) for number in chosen], total


def sample_times(stretch: Stretch, duration: float, config: PairConfig, generator: np.random.Generator) -> list[float]:
    """Draw `frames_per_shot` random times within a stretch, in seconds, rising; raises UnusableInput (no_duration)."""
    if duration <= 0:
        raise UnusableInput("no_duration", "the container does not say how long it is")
    return sorted(generator.uniform(*_limits(stretch, duration), config.frames_per_shot).tolist())


def _limits(stretch: Stretch, duration: float) -> tuple[float, float]:
    """The first and the last time of a stretch that are read.

    The first 2 % and the last 4 % of a clip are left out, of a longer one as much as of one of 18 s: containers often
    state a slightly longer duration than they hold.
    """
    first, last = min(0.02 * duration, 0.02 * MAX_WHOLE), max(0.96 * duration, duration - 0.04 * MAX_WHOLE)
    return max(stretch.start, first), min(stretch.end, last)


class FurtherFrames:
    """Chooses further frames at the start and after each cut, closer together at first, while the clip is read.

    A cut sets the moments of the shot that it begins, and the first frame at or after each of them is kept.
    """

    def __init__(self, config: PairConfig) -> None:
        steps = FIRST_STEP * GROWTH ** np.arange(config.frames_per_shot - 1)
        self.waits = np.cumsum([0.0, *steps]).tolist()
        self.previous: Thumbnail | None = None
        self.jumps: deque[float] = deque(maxlen=NUM_NEIGHBOURS)
        self.moments: deque[float] = deque()

    def __call__(self, thumbnail: Thumbnail) -> bool:
        """Whether this frame is kept; thumbnails come in order of time."""
        if self._starts_shot(thumbnail):
            self.moments = deque(thumbnail.time + wait for wait in self.waits)
        self.previous = thumbnail
        is_kept = False
        while self.moments and self.moments[0] <= thumbnail.time:
            self.moments.popleft()
            is_kept = True
        return is_kept

    def _starts_shot(self, thumbnail: Thumbnail) -> bool:
        if self.previous is None:
            return True
        jump = measure_jump(self.previous, thumbnail)
        is_cut = thumbnail.starts_shot or stands_out(jump, self.jumps)
        self.jumps.append(jump)
        return is_cut


def read_at(reader: ClipReader, times: Sequence[float]) -> DecodedClip:
    """Read a clip at given times; frames between them may be skipped. Raises UnusableInput (too_short)."""
    clip = reader.read(times)
    if len(clip.frames) < 2:
        raise UnusableInput("too_short", f"{len(clip.frames)} distinct frame in {reader.info.duration:.2f} s")
    return clip


def read_all(reader: ClipReader, stretch: Stretch, times: Sequence[float], config: PairConfig) -> DecodedClip:
    """Read a stretch with every frame decoded, so that no cut is missed: frames at given times, and further ones."""
    low, high = _limits(stretch, reader.info.duration)
    return reader.read([low, *times, high], keep=FurtherFrames(config), skip=False)


def drop_further(frames: Sequence[Frame], times: Sequence[float], thumbnails: Sequence[Thumbnail]) -> list[Frame]:
    """Those of the frames that were on screen at given times; thumbnails: of all frames that were decoded."""
    starts = [thumbnail.time for thumbnail in thumbnails]
    shown = {starts[max(0, bisect_right(starts, time + 1e-4) - 1)] for time in times}
    return [frame for frame in frames if frame.time in shown]
