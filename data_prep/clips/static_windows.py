"""Windows of thumbnails in which something changes before a camera that stands still; dissolves and wipes between two
shots of one room are looked for in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.transitions import STEP, Span
from mimicbrush.video.decoded_clip import Thumbnail

WINDOWS = (0.4, 0.8)
"""Lengths of the windows in seconds; a longer transition is seen in part."""
MIN_BETWEEN = 3
"""Smallest number of thumbnails between the ends of a window."""
CHANGED_LEVEL = 10
"""Grey levels by which a pixel differs between the ends of a window."""
MIN_CHANGED = 0.06
"""Smallest share of the picture that differs, without lines narrower than three pixels."""
MAX_REST_LEVEL = 3.0
"""Largest median change of the other pixels, in grey levels; more of it is a change of light or of the camera."""


class StaticWindow(NamedTuple):
    """Thumbnails that follow one another, between the first and the last of which part of the picture changes."""

    times: NDArray[np.float64]
    """(T,) seconds."""
    pictures: Sequence[NDArray[np.uint8]]
    """T times (h, w) grey levels."""
    changed: NDArray[np.bool_]
    """(h, w) the pixels that differ; the others are still."""


def find_static_windows(thumbnails: Sequence[Thumbnail]) -> Iterator[StaticWindow]:
    """Yield the windows without gaps of unseen frames; thumbnails: between two cuts."""
    times = np.array([thumbnail.time for thumbnail in thumbnails])
    pictures = [thumbnail.luma for thumbnail in thumbnails]
    gaps = times[[thumbnail.after_gap for thumbnail in thumbnails]]
    for length in WINDOWS:
        latest = -np.inf
        for first, last in enumerate(times.searchsorted(times + length - 1e-3).tolist()):
            if last == len(times) or times[first] < latest + STEP or last - first <= MIN_BETWEEN:
                continue
            latest = times[first]
            if ((gaps > times[first]) & (gaps <= times[last])).any():
                continue
            changed = _find_change(pictures[first], pictures[last])
            if changed is not None:
                yield StaticWindow(times[first : last + 1], pictures[first : last + 1], changed)


def _find_change(first: NDArray[np.uint8], last: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """(h, w) the pixels in which two pictures differ; None if they are few, or the others are not still."""
    apart = cv2.absdiff(first, last)
    changed = cv2.morphologyEx((apart > CHANGED_LEVEL).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if changed.mean() < MIN_CHANGED:
        return None
    return changed if changed.all() or np.median(apart[~changed]) <= MAX_REST_LEVEL else None


def join_spans(spans: Iterable[Span], *, within: Sequence[Thumbnail]) -> list[Span]:
    """Cut spans off at the first and the last of the thumbnails, and join those that overlap, in order of time."""
    joined: list[Span] = []
    for start, end, _ in sorted(spans):
        span = Span(float(max(start, within[0].time)), float(min(end, within[-1].time)))
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
