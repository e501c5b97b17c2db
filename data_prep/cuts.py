"""Scene cuts, from the thumbnails of the frames that were decoded on the way.

Where frames follow closely a cut is a jump that stands out from its neighbours. Where a seek passed frames over, nobody
saw what happened there: a great jump is taken for a cut, and frames of both sides belong together if their colours do.
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
"""Mean grey levels between two thumbnails; real clips seldom move more from one reference frame to the next."""
MIN_RATIO = 3.0
"""How far a cut's jump exceeds the median of its neighbours'."""
MAX_UNSEEN_JUMP = 35.0
"""Mean grey levels across a seek; unrelated real frames differ by 40 and more, those of a shot by up to 40 where much
moves in seconds: a few such pairs are lost rather than one let through."""
NUM_NEIGHBOURS = 4
"""Jumps looked at on either side."""
MIN_COMMON_COLOURS = 0.43
"""Least overlap of two colour histograms; real clips measured 0.46 and more in a shot, 0.40 and less between shots."""
COLOUR_BINS = (12, 6, 6)
"""Of hue, saturation and value."""
COLOUR_SIZE = (160, 90)


class Shots(NamedTuple):
    """Where a clip may not be paired across."""

    cuts: list[float]
    """Seconds of the first frame behind each cut."""
    gaps: list[float]
    """Seconds of the first frame behind each stretch that nobody saw."""
    colours: dict[float, NDArray[np.float32]]
    """Colour histogram of the frame at each time, where there are gaps."""

    def are_apart(self, first: Frame, second: Frame) -> bool:
        """Whether a cut lies, or may lie, between two frames."""
        if any(first.time < cut <= second.time for cut in self.cuts):
            return True
        is_unseen = any(first.time < gap <= second.time for gap in self.gaps)
        return is_unseen and self._common_colours(first, second) < MIN_COMMON_COLOURS

    def _common_colours(self, first: Frame, second: Frame) -> float:
        """Overlap of two frames' colour histograms, in [0, 1]."""
        return float(np.minimum(self.colours[first.time], self.colours[second.time]).sum())


def find_shots(clip: DecodedClip) -> Shots:
    """Cuts and unseen stretches of a clip."""
    thumbnails = clip.thumbnails
    gaps = [thumbnail.time for thumbnail in thumbnails[1:] if thumbnail.after_gap]
    stretches = np.split(np.arange(len(thumbnails)), [i for i, g in enumerate(thumbnails) if i and g.after_gap])
    cuts = [time for stretch in stretches for time in _find_cuts([thumbnails[i] for i in stretch])]
    cuts += [
        after.time
        for before, after in pairwise(thumbnails)
        if after.after_gap and _jump(before, after) > MAX_UNSEEN_JUMP
    ]
    colours = {frame.time: _colours(frame.image) for frame in clip.frames} if gaps else {}
    return Shots(cuts, gaps, colours)


def _find_cuts(thumbnails: Sequence[Thumbnail]) -> list[float]:
    """Times of the thumbnails that a jump leads to; the thumbnails follow one another closely."""
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
