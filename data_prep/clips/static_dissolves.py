"""Dissolves between two shots of one camera that stands still, as between two people in one room.

Most of the picture stays as it is, so neither its change nor the scene on both sides shows such a dissolve. But where
the picture changes, every pixel between two moments is the same mixture of its levels at both: things that move change
some pixels early and others late, or, where they move slowly, can be followed. Light changes the level and leaves the
structure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.clips.carried_content import share_moved
from data_prep.clips.static_windows import StaticWindow, join_spans
from data_prep.clips.transitions import Span
from data_prep.frames.structure import is_replaced
from mimicbrush.video.decoded_clip import Thumbnail

MAX_CHANGED = 0.6
"""Largest share of the picture that differs between the ends of a window."""
MIDDLE = (0.25, 0.75)
"""Part of a window, as shares of its length, in which mixtures are judged."""
MAX_UNEVEN = 0.16
"""Largest median deviation of a pixel's share of the second end from that of all, in the middle of a window. Measured:
0.04 to 0.15 in dissolves; 0.18 or more, mostly 0.26, in 45 clips of moving things and cameras."""
MAX_IRREGULAR = 0.25
"""Largest deviation of that share from one that grows evenly over the window."""
MAX_MOVED = 0.65
"""Largest share of the points there that can be followed to another place. Measured: 0.07 to 0.48 in eight dissolves,
0.83 or more where something moves slowly."""
MARGIN = 0.25
"""Seconds by which a dissolve may be longer on either side than the windows that lie in it."""


def find_static_dissolves(thumbnails: Sequence[Thumbnail], windows: Sequence[StaticWindow]) -> list[Span]:
    """Find the dissolves before a standing camera; thumbnails: between two cuts, and their windows, of which those that
    overlap are joined."""
    found = [window.times for window in windows if _is_dissolve(window)]
    return join_spans((Span(times[0] - MARGIN, times[-1] + MARGIN) for times in found), within=thumbnails)


def _is_dissolve(window: StaticWindow) -> bool:
    """Whether the pictures of a window are mixtures of the first and the last, which show two things in one place."""
    times, pictures, changed = window
    first, last = pictures[0], pictures[-1]
    if changed.mean() > MAX_CHANGED:
        return False
    change = last[changed].astype(np.float32) - first[changed]
    progress = (times[1:-1] - times[0]) / (times[-1] - times[0])
    # The picture in the middle, which rules out most windows, comes first.
    for i in np.argsort(np.abs(progress - 0.5)).tolist():
        shares = (pictures[i + 1][changed].astype(np.float32) - first[changed]) / change
        share = np.median(shares)
        is_middle = MIDDLE[0] < progress[i] < MIDDLE[1]
        if abs(share - progress[i]) > MAX_IRREGULAR:
            return False
        if is_middle and np.median(np.abs(shares - share)) > MAX_UNEVEN:
            return False
    return is_replaced(first, last, changed) and share_moved(pictures, changed) < MAX_MOVED
