"""Shots of a clip, found in the thumbnails of all frames that were decoded.

Between frames that follow one another closely, a cut is a jump that stands out from the jumps around it. A seek leaves
a gap of unseen frames: a large jump across it counts as a cut, and frames on its two sides may only be paired if their
colours agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail

MIN_JUMP = 12.0
"""Smallest jump of a cut: mean difference of two thumbnails in grey levels. In real clips, motion from one reference
frame to the next is seldom larger."""
MIN_RATIO = 3.0
"""Smallest ratio of a cut's jump to the median of the jumps around it."""
MAX_UNSEEN_JUMP = 35.0
"""Largest jump across a gap that is no cut, in mean grey levels. Unrelated real frames differ by 40 or more, frames of
one shot by up to 40 if much moves within seconds: a few good pairs are lost rather than a bad one kept."""
NUM_NEIGHBOURS = 4
"""Number of jumps on either side with which a jump is compared."""
MIN_COMMON_COLOURS = 0.43
"""Smallest overlap of the colour histograms of two frames of one shot. Measured on real clips: 0.46 or more within a
shot, 0.40 or less between shots."""
COLOUR_BINS = (12, 6, 6)
"""Numbers of bins for hue, saturation and value."""
COLOUR_SIZE = (160, 90)


class Shot(NamedTuple):
    """Frames between two boundaries, any two of which may be paired unless unseen frames lie between them."""

    frames: list[Frame]
    """In order of time."""
    gaps: list[float]
    """Time of the first frame after each gap of unseen frames within the shot, in seconds."""
    colours: dict[float, NDArray[np.float32]]
    """Colour histogram of each frame by its time; empty if there are no gaps."""

    def are_apart(self, first: Frame, second: Frame) -> bool:
        """Whether a cut may lie between two frames: unseen frames lie there, and the colours differ."""
        is_unseen = any(first.time < gap <= second.time for gap in self.gaps)
        return is_unseen and self._common_colours(first, second) < MIN_COMMON_COLOURS

    def _common_colours(self, first: Frame, second: Frame) -> float:
        """Overlap of two frames' colour histograms, in [0, 1]."""
        return float(np.minimum(self.colours[first.time], self.colours[second.time]).sum())


def find_shots(clip: DecodedClip) -> list[Shot]:
    """Divide a clip into its shots, in order of time; shots of which no frame was asked for are left out."""
    bounds = [-np.inf, *find_cuts(clip.thumbnails), np.inf]
    gaps = [thumbnail.time for thumbnail in clip.thumbnails[1:] if thumbnail.after_gap]
    shots = [_shot(clip, gaps, start, end) for start, end in pairwise(bounds)]
    return [shot for shot in shots if shot.frames]


def num_pairs_across(shots: Sequence[Shot]) -> int:
    """Number of pairs of frames that lie in two shots and are never compared."""
    sizes = [len(shot.frames) for shot in shots]
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2


def _shot(clip: DecodedClip, gaps: Sequence[float], start: float, end: float) -> Shot:
    frames = [frame for frame in clip.frames if start <= frame.time < end]
    inside = [gap for gap in gaps if start < gap < end]
    return Shot(frames, inside, {frame.time: _colours(frame.image) for frame in frames} if inside else {})


def find_cuts(thumbnails: Sequence[Thumbnail]) -> list[float]:
    """Times of the first frames after the cuts, rising."""
    parts = np.split(np.arange(len(thumbnails)), [i for i, t in enumerate(thumbnails) if i and t.after_gap])
    cuts = [time for part in parts for time in _find_seen_cuts([thumbnails[i] for i in part])]
    cuts += [
        after.time
        for before, after in pairwise(thumbnails)
        if after.after_gap and _jump(before, after) > MAX_UNSEEN_JUMP
    ]
    return sorted(cuts)


def _find_seen_cuts(thumbnails: Sequence[Thumbnail]) -> list[float]:
    """Times of the thumbnails right after a cut; the thumbnails follow one another closely."""
    jumps = np.array([_jump(before, after) for before, after in pairwise(thumbnails)])
    cuts = []
    for i, jump in enumerate(jumps):
        around = np.concatenate([jumps[max(0, i - NUM_NEIGHBOURS) : i], jumps[i + 1 : i + 1 + NUM_NEIGHBOURS]])
        usual = np.median(around) if len(around) else 0.0
        if jump > max(MIN_JUMP, MIN_RATIO * usual):
            cuts.append(thumbnails[i + 1].time)
    return cuts


def _jump(before: Thumbnail, after: Thumbnail) -> float:
    return float(cv2.absdiff(before.luma, after.luma).mean())


def _colours(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(image, COLOUR_SIZE, interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(COLOUR_BINS), [0, 180, 0, 256, 0, 256])
    return counts.ravel() / counts.sum()
