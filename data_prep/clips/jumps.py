"""Jumps between neighbouring thumbnails, of which one that stands out is a cut."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mimicbrush.video.decoded_clip import Thumbnail

MIN_JUMP = 12.0
"""Smallest jump of a cut: mean difference of two thumbnails in grey levels. In real clips, motion from one reference
frame to the next is seldom larger."""
MIN_RATIO = 3.0
"""Smallest ratio of a cut's jump to the median of the jumps around it."""
NUM_NEIGHBOURS = 4
"""Number of jumps on either side with which a jump is compared."""


def measure_jump(before: Thumbnail, after: Thumbnail) -> float:
    """Mean difference of two thumbnails in grey levels."""
    return float(cv2.absdiff(before.luma, after.luma).mean())


def stands_out(jump: float, around: Sequence[float]) -> bool:
    """Whether a jump is that of a cut, beside the jumps around it."""
    return jump > MIN_JUMP and (not len(around) or jump > MIN_RATIO * float(np.median(around)))
