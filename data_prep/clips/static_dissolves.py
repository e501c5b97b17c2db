"""Dissolves between two shots of one camera that stands still, as between two people in one room.

Most of the picture stays as it is, so neither its change nor the scene on both sides shows such a dissolve. But where
the picture changes, every pixel between two moments is the same mixture of its levels at both: things that move change
some pixels early and others late, or, where they move slowly, can be followed. Light changes the level and leaves the
structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.carried_content import share_moved
from data_prep.clips.transitions import STEP, Span
from data_prep.frames.structure import is_replaced
from mimicbrush.video.decoded_clip import Thumbnail

WINDOWS = (0.4, 0.8)
"""Lengths of the windows in seconds; a longer dissolve is seen in part."""
MIN_BETWEEN = 3
"""Smallest number of thumbnails between the ends of a window."""
CHANGED_LEVEL = 10
"""Grey levels by which a pixel differs between the ends of a window."""
CHANGED_SHARE = (0.06, 0.6)
"""Smallest and largest share of the picture that differs, without lines narrower than three pixels."""
MAX_REST_LEVEL = 3.0
"""Largest median change of the other pixels, in grey levels; more of it is a change of light."""
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
WINDOW_MARGIN = 0.25
"""Seconds by which a dissolve may be longer on either side than the windows that lie in it."""


def find_static_dissolves(thumbnails: Sequence[Thumbnail]) -> list[Span]:
    """Find the dissolves before a standing camera; thumbnails: between two cuts. Windows that overlap are joined."""
    spans: list[Span] = []
    for window in sorted(_find_windows(thumbnails)):
        if spans and window.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, window.end))
        else:
            spans.append(window)
    return spans


def _find_windows(thumbnails: Sequence[Thumbnail]) -> Iterator[Span]:
    """Yield the windows that lie within a dissolve."""
    times = np.array([thumbnail.time for thumbnail in thumbnails])
    pictures = [thumbnail.luma for thumbnail in thumbnails]
    gaps = times[[thumbnail.after_gap for thumbnail in thumbnails]]
    for length in WINDOWS:
        latest = -np.inf
        for first, last in enumerate(times.searchsorted(times + length - 1e-3).tolist()):
            if last == len(times) or times[first] < latest + STEP or last - first <= MIN_BETWEEN:
                continue
            latest = times[first]
            is_seen = not ((gaps > times[first]) & (gaps <= times[last])).any()
            if is_seen and _is_dissolve(times[first : last + 1], pictures[first : last + 1]):
                start, end = times[first] - WINDOW_MARGIN, times[last] + WINDOW_MARGIN
                yield Span(float(max(start, times[0])), float(min(end, times[-1])))


def _is_dissolve(times: NDArray[np.float64], pictures: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether the pictures of a window are mixtures of the first and the last, which show two things in one place."""
    first, last = pictures[0], pictures[-1]
    apart = cv2.absdiff(first, last)
    changed = cv2.morphologyEx((apart > CHANGED_LEVEL).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    low, high = CHANGED_SHARE
    if not low <= changed.mean() <= high or np.median(apart[~changed]) > MAX_REST_LEVEL:
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
