"""Wipes between two shots of cameras that stand still, as between two people in one room.

Where the picture changes, a straight edge passes over it at an even speed: every pixel has its old level until then and
its new one from then on. Things that move carry their texture along, so that levels go on changing behind their edges.
A thing without texture that moves in looks like a wipe, and so both pictures must have a structure there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.clips.static_windows import StaticWindow, join_spans
from data_prep.clips.transitions import Span
from data_prep.frames.structure import covariance_of, find_lost, measure_structure
from mimicbrush.video.decoded_clip import Thumbnail

MAX_UNSETTLED = 0.3
"""Largest deviation of a pixel from its old or its new level, as a share of the difference between them."""
MIN_SETTLED = 0.85
"""Smallest share of the levels that deviate less, besides the two thumbnails nearest to the edge's passing."""
MAX_OFF = (0.08, 0.06)
"""Largest distance in time of a pixel's change from the edge's passing: as a share of the window, and in seconds; the
larger one counts."""
MIN_AT_EDGE = 0.75
"""Smallest share of the changed pixels that change so close to it."""
NUM_FITS = 4
"""Number of times that the edge is fitted, from the second time on to the pixels that agree with the last fit."""
MIN_SWEEP = 0.3
"""Smallest part of a window during which the edge passes over changed pixels; at a cut all change at once."""
SWEEP_QUANTILES = (0.05, 0.95)
"""Quantiles of the times of passing between which that is measured."""
MAX_LENGTH = 5.0
"""Longest time that a wipe takes for the whole picture, in seconds."""
MIN_STRUCTURED = 0.5
"""Smallest share of the changed pixels with a structure in both pictures."""
MIN_LOST = 0.5
"""Smallest ratio of the pixels that lost their structure to these; light leaves it as it is."""
MAX_APART = 0.05
"""Largest distance in time between the ends of a wipe as two windows show it, as a share of its length. Measured: 0.03
or less in four wipes, 0.09 or more where a person walks or moves an arm."""
MARGIN = (0.05, 0.1)
"""Time by which a wipe may be longer on either side than it was found: as a share of its length, and in seconds."""


def find_static_wipes(
    thumbnails: Sequence[Thumbnail], windows: Sequence[StaticWindow], *, known: Sequence[Span] = ()
) -> list[Span]:
    """Find the wipes before standing cameras; thumbnails: between two cuts, and their windows.

    An edge that is seen in part of the picture is extended over all of it, and at least two windows must agree on it.
    known: transitions that were found otherwise, perhaps too short; in them, what replaces needs no structure.
    """
    spans: list[Span] = []
    for window in windows:
        is_known = any(span.start < window.times[-1] and window.times[0] < span.end for span in known)
        spans += _find_wipe(window, is_known=is_known)
    sure = [span for span in spans if sum(_agree(span, other) for other in spans) > 1]
    margins = [MARGIN[0] * span.length + MARGIN[1] for span in sure]
    wide = (Span(span.start - margin, span.end + margin) for span, margin in zip(sure, margins, strict=True))
    return join_spans(wide, within=thumbnails)


def _agree(first: Span, second: Span) -> bool:
    limit = MAX_APART * min(first.length, second.length)
    return max(abs(first.start - second.start), abs(first.end - second.end)) <= limit


def _find_wipe(window: StaticWindow, *, is_known: bool) -> Iterator[Span]:
    """Yield when an edge that passes within a window crosses the picture, if there is one.

    is_known: whether the window lies in a transition.
    """
    times, pictures, changed = window
    first, last = pictures[0], pictures[-1]
    old = first[changed].astype(np.float32)
    shares = (np.stack(pictures[1:-1])[:, changed] - old) / (last[changed] - old)
    num_before = (shares < 0.5).sum(axis=0)
    if _is_sudden(shares, num_before) and (is_known or _is_replaced(first, last, changed)):
        passing = (times[num_before] + times[num_before + 1]) / 2
        yield from _fit_edge(passing, changed, times[-1] - times[0])


def _is_sudden(shares: NDArray[np.float32], num_before: NDArray[np.intp]) -> bool:
    """Whether pixels have their old or their new level all the time.

    shares: (T, N) of the new level, in the thumbnails between the ends of a window; num_before: (N,) of them that come
    before a pixel's change.
    """
    numbers = np.arange(len(shares))[:, None]
    settled = np.abs(shares - (numbers >= num_before)) < MAX_UNSETTLED
    beside = np.abs(numbers + 0.5 - num_before) > 1
    return bool(beside.any()) and settled[beside].mean() > MIN_SETTLED


def _is_replaced(first: NDArray[np.uint8], last: NDArray[np.uint8], changed: NDArray[np.bool_]) -> bool:
    """Whether both pictures have a structure where they differ, and another one."""
    structures = measure_structure(first.astype(np.float32)), measure_structure(last.astype(np.float32))
    judged, lost = find_lost(*structures, changed, covariance_of(*structures))
    num_judged = np.count_nonzero(judged)
    enough = num_judged > MIN_STRUCTURED * np.count_nonzero(changed)
    return enough and np.count_nonzero(lost) > MIN_LOST * num_judged


def _fit_edge(passing: NDArray[np.float64], changed: NDArray[np.bool_], length: float) -> Iterator[Span]:
    """Yield when a straight edge that passes over the (h, w) changed pixels crosses the picture, if there is one.

    passing: (N,) time at which each of these pixels changes; length: of the window in seconds.
    """
    height, width = changed.shape
    rows, columns = np.nonzero(changed)
    places = np.stack([columns / width, rows / height, np.ones(len(rows))], axis=1)
    share, seconds = MAX_OFF
    at_edge = np.ones(len(rows), bool)
    for _ in range(NUM_FITS):
        plane = np.linalg.lstsq(places[at_edge], passing[at_edge], rcond=None)[0]
        at_edge = np.abs(places @ plane - passing) <= max(share * length, seconds)
        if at_edge.mean() < MIN_AT_EDGE:
            return
    sweep = np.ptp(np.quantile(places[at_edge] @ plane, SWEEP_QUANTILES))
    corners = np.array([[x, y, 1] for x in (0, 1) for y in (0, 1)]) @ plane
    start, end = float(corners.min()), float(corners.max())
    if sweep >= MIN_SWEEP * length and end - start <= MAX_LENGTH:
        yield Span(start, end)
