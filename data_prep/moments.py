"""Choose the moments of a clip at which frames are read.

A clip of up to 18 seconds is read at random moments all over it. A longer one is read in stretches of about 12 seconds,
spread evenly over it, of which there are at most a third as many as shots may be used. After a cut, further frames are
kept on the way, so that short shots have enough frames for pairs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import cv2
import numpy as np

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
MAX_AREA = 4.2e7
"""Largest number of pixels of a frame, summed over the stretches: 20 at 1080p, 5 at 4K, so that decoding a film takes
less than a minute."""
MIN_JUMP = 12.0
"""Smallest mean difference of two thumbnails, in grey levels, after which further frames are kept."""
MIN_RATIO = 3.0
"""Smallest ratio of that difference to the median of those before."""
NUM_BEFORE = 4
"""Number of differences before it with which one is compared."""
FIRST_STEP = 0.2
"""Seconds between the first of the frames that are kept after a cut."""
GROWTH = 1.1
"""Factor by which each step between these frames is longer than the one before: 16 frames last 7 seconds."""


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
    """Draw `frames_per_shot` random times within a stretch, in seconds, rising.

    The first 2 % and the last 4 % of a clip are left out, as containers often state a slightly longer duration than
    they hold.
    """
    low, high = max(stretch.start, 0.02 * duration), min(stretch.end, 0.96 * duration)
    return sorted(generator.uniform(low, high, config.frames_per_shot).tolist())


class FurtherFrames:
    """Chooses further frames after each cut of a stretch, closer together at first; they are kept on the way."""

    def __init__(self, config: PairConfig, *, from_start: bool) -> None:
        """from_start: whether frames are chosen before the first cut, too."""
        self.per_shot = config.frames_per_shot
        self.from_start = from_start
        self.previous: Thumbnail | None = None
        self.jumps: deque[float] = deque(maxlen=NUM_BEFORE)
        self.left = 0
        self.step = FIRST_STEP
        self.next_time = 0.0

    def __call__(self, thumbnail: Thumbnail) -> bool:
        """Whether this frame is kept; thumbnails come in order of time."""
        if self._starts_shot(thumbnail):
            self.left, self.step, self.next_time = self.per_shot, FIRST_STEP, thumbnail.time + FIRST_STEP / 2
        self.previous = thumbnail
        if self.left == 0 or thumbnail.time < self.next_time:
            return False
        self.left -= 1
        self.next_time, self.step = thumbnail.time + self.step, self.step * GROWTH
        return True

    def _starts_shot(self, thumbnail: Thumbnail) -> bool:
        if self.previous is None:
            return self.from_start
        jump = float(cv2.absdiff(self.previous.luma, thumbnail.luma).mean())
        usual = float(np.median(self.jumps)) if self.jumps else jump
        self.jumps.append(jump)
        return thumbnail.starts_shot or jump > max(MIN_JUMP, MIN_RATIO * usual)


def read_stretch(
    reader: ClipReader, stretch: Stretch, config: PairConfig, generator: np.random.Generator, *, is_whole: bool
) -> tuple[DecodedClip, list[float]]:
    """Read a stretch of a clip: frames at random moments, which are returned, and further ones where there are cuts.

    is_whole: whether it is the whole clip. Then a seek may skip frames; of a film every frame is decoded, so that no
    shot is missed.
    """
    if reader.info.duration <= 0:
        raise UnusableInput("no_duration", "the container does not say how long it is")
    times = sample_times(stretch, reader.info.duration, config, generator)
    if is_whole:
        return reader.read(times, keep=FurtherFrames(config, from_start=False)), times
    times = [stretch.start, *times]
    return reader.read(times, keep=FurtherFrames(config, from_start=True), skip=False), times


def drop_further(frames: Sequence[Frame], times: Sequence[float], thumbnails: Sequence[Thumbnail]) -> list[Frame]:
    """Those of the frames that were on screen at given times; thumbnails: of all frames that were decoded."""
    starts = [thumbnail.time for thumbnail in thumbnails]
    shown = {starts[max(0, bisect_right(starts, time + 1e-4) - 1)] for time in times}
    return [frame for frame in frames if frame.time in shown]
