"""Slow transitions between shots, found in thumbnails: dissolves, fades through a colour, wipes, slides.

Neighbouring frames of a slow transition are alike, so windows of 0.3 to 4 seconds are judged. In a dissolve or a wipe
every pixel goes straight from its old to its new level; under a moving camera or moving things it goes up and down on
the way. A fade through a colour passes through a picture without contrast. A slide or a zoom changes everything between
two stretches that hardly change themselves. All measures fit gain and offset, so that light alone is no transition.
A camera that carries content along is none either, however much changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.carried_content import CameraMotion, camera_motion, share_carried
from data_prep.frames.uniform_edges import find_content
from mimicbrush.video.decoded_clip import Thumbnail

WINDOWS = (0.3, 0.6, 1.2, 2.4, 4.0)
"""Lengths of the windows in seconds."""
MIN_STRAIGHTNESS = (0.80, 0.66, 0.50, 0.40, 0.30)
"""Smallest straightness of a transition for each window: the share of all changes on the way that is left between the
ends. Measured on real clips with moving cameras: at most 0.80, 0.69, 0.55, 0.5, 0.45."""
MIN_LENGTH = 1.5
"""Smallest length in seconds of a part between cuts that has room for two shots and a slow transition."""
STEP = 0.1
"""Smallest distance in seconds between two thumbnails that are compared."""
MAX_STEP = 0.3
"""Distance in seconds between two thumbnails above which frames between them were not seen."""
SIZE = (32, 18)
"""Width and height at which thumbnails are compared; small motion changes little at this size."""
MAX_CORRELATION = 0.8
"""Largest correlation of the two ends of a transition."""
MIN_CHANGE = 4.0
"""Smallest mean change between the ends of a transition, in grey levels."""
MAX_CAMERA = 0.3
"""Largest share of all changes on the way that the camera's motion explains. Measured: at most 0.25 in 102 transitions
(other than slides), 0.98 in fast pans over coarse texture."""
MAX_SLOW_CAMERA = 0.8
"""The same for a camera that moves little; beside its motion, a narrow wipe changes little at a time."""
MIN_PAN = 0.1
"""Smallest way of a camera that changes the picture as a transition does, as a share of its width or height."""
MIN_NOVELTY = 0.5
"""Smallest amount by which the ends correlate less with one another than they would if the picture changed between
them at the rate at which it does before and after them."""
MIN_SWEEP = 0.7
"""Smallest way of a slide, as a share of the picture's width or height; a slide covers all of it."""
MIN_SPEED_RATIO = 3.0
"""Smallest ratio of its speed to that of the camera before and after it."""
MAX_SIDE = 1.0
"""Longest time before and after a window that its ends are compared with, in seconds."""
MIN_CONTRAST = 4.0
"""Standard deviation of a thumbnail below which it counts as flat, in grey levels."""
FLAT_SHARE = 0.3
"""Share of the contrast on both sides below which a thumbnail counts as flat."""
MAX_DIP = 0.2
"""Share of the usual contrast up to which a picture is nearly black or white; under drifting light more is left."""
MAX_BLACK, MIN_WHITE = 48, 208
"""Mean grey level up to which a flat picture is black, and from which it is white, in full or limited range."""
MAX_BAR_CHANGE = 6.0
"""Range of the grey levels of a row or column at the edge, over its pixels and all times, up to which it is a bar."""
MIN_CARRIED = 0.55
"""Share of the points at the start of a span above which motion carries them to its end. Measured: at most 0.51 in 98
transitions, 0.2 or less in nine of ten; 0.47 to 0.9 in most shots."""
SPAN_MARGIN = 0.3
"""Length by which a transition may be longer on either side than it was found, as a share of what was found."""
DIP_MARGIN = 0.1
"""The same for a dip, of which nearly all is seen."""
USUAL_CONTRAST = 0.75
"""Quantile of the contrasts within two seconds of a flat picture that is the contrast of the shot."""
REST = 0.15
"""Share of the whole change up to which a frame still counts as one of the ends."""


class Span(NamedTuple):
    """Part of a clip in which one shot may pass into the next, in seconds; its ends belong to the shots."""

    start: float
    end: float
    is_dip: bool = False
    """Whether the picture goes to black or white and comes back, which parts shots of one scene, too."""

    @property
    def length(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


class _Window(NamedTuple):
    first: int
    last: int
    score: float


def find_transitions(thumbnails: Sequence[Thumbnail]) -> list[list[Span]]:
    """Find the parts of a clip that may be slow transitions, in order of time; those that overlap form a group, except
    for dips.

    thumbnails: between two cuts. A change over a gap of unseen frames may be a transition as well.
    """
    thumbnails = _sample(thumbnails)
    times = np.array([thumbnail.time for thumbnail in thumbnails])
    if len(times) < 3 or times[-1] - times[0] < MIN_LENGTH:
        return []
    pictures = np.stack([cv2.resize(thumbnail.luma, SIZE, interpolation=cv2.INTER_AREA) for thumbnail in thumbnails])
    rows, columns = find_content(pictures.max(axis=0), pictures.min(axis=0), MAX_BAR_CHANGE)
    pictures = pictures[:, rows, columns].reshape(len(times), -1).astype(np.float32)
    found = [*_find_collapses(times, pictures)]
    taken = [(times.searchsorted(span.start), times.searchsorted(span.end)) for span in found]
    camera = cache(lambda: camera_motion([thumbnail.luma for thumbnail in thumbnails]))
    for window in sorted(_find_windows(times, pictures, camera), key=lambda window: -window.score):
        if all(window.last <= first or window.first >= last for first, last in taken):
            taken.append((window.first, window.last))
            found.append(_refine(times, pictures, window))
    spans = [_widen(span, times) for span in sorted(found)]
    return sorted([[span] for span in spans if span.is_dip] + _group([span for span in spans if not span.is_dip]))


def is_carried(span: Span, thumbnails: Sequence[Thumbnail]) -> bool:
    """Whether motion carries what is seen at the start of a span to its end, so that it is no transition."""
    pictures = [each.luma for each in _sample(thumbnails) if span.start - STEP < each.time < span.end + STEP]
    return len(pictures) > 1 and share_carried(pictures) > MIN_CARRIED


def _widen(span: Span, times: NDArray[np.float64]) -> Span:
    """A span with the margin on both sides in which its ends may lie."""
    margin = (DIP_MARGIN if span.is_dip else SPAN_MARGIN) * span.length + STEP
    start, end = min(float(times[0]), span.start), max(float(times[-1]), span.end)
    return Span(max(start, span.start - margin), min(end, span.end + margin), span.is_dip)


def _group(spans: Sequence[Span]) -> list[list[Span]]:
    """Group spans that overlap; they are sorted."""
    groups: list[list[Span]] = []
    for span in spans:
        if groups and span.start <= max(other.end for other in groups[-1]):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _sample(thumbnails: Sequence[Thumbnail]) -> list[Thumbnail]:
    """Thumbnails at least STEP apart."""
    sampled: list[Thumbnail] = []
    for thumbnail in thumbnails:
        if not sampled or thumbnail.time - sampled[-1].time >= STEP - 1e-3:
            sampled.append(thumbnail)
    return sampled


def _normalise(pictures: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pictures with mean 0 and deviation 1, and the deviations in grey levels."""
    centred = pictures - pictures.mean(axis=1, keepdims=True)
    contrast = centred.std(axis=1)
    return centred / (contrast[:, None] + 1.0), contrast


def _find_windows(times: NDArray, pictures: NDArray, camera: Callable[[], CameraMotion]) -> Iterator[_Window]:
    """Windows whose ends differ, and between which every pixel goes straight or whose surroundings hardly change.

    camera: finds the camera's motion, which takes longer than all else and is asked for where ends differ.
    """
    normal, contrast = _normalise(pictures)
    is_flat = contrast < MIN_CONTRAST
    travelled = np.concatenate([[0.0], np.cumsum(_changes(times, pictures))])

    def correlate(first: NDArray, second: NDArray) -> NDArray:
        return (normal[first] * normal[second]).mean(axis=1)

    for length, straight in zip(WINDOWS, MIN_STRAIGHTNESS, strict=True):
        last = times.searchsorted(times + length - 1e-3)
        first = np.flatnonzero(last < len(times))
        last = last[first]
        keep = ~is_flat[first] & ~is_flat[last]
        first, last = first[keep], last[keep]
        change = np.abs(pictures[last] - pictures[first]).mean(axis=1)
        common = correlate(first, last)
        differs = (common < MAX_CORRELATION) & (change > MIN_CHANGE)
        if not differs.any():
            continue
        first, last, change, common = first[differs], last[differs], change[differs], common[differs]
        straightness = change / np.maximum(travelled[last] - travelled[first], 1e-3)
        side = min(length, MAX_SIDE)
        before = times.searchsorted(times[first] - side)
        after = np.minimum(times.searchsorted(times[last] + side), len(times) - 1)
        usual = np.minimum(correlate(before, first), correlate(last, after)).clip(0) ** (length / side)
        novelty = usual - common
        has_sides = np.minimum(times[first] - times[before], times[after] - times[last]) >= side / 2
        novelty = np.where(has_sides, novelty, 0.0)
        novelty = np.maximum(novelty, has_sides & _is_swept(times, camera(), (before, first, last, after)))
        is_straight = (straightness > straight) & ~_is_pan(camera(), first, last)
        is_found = is_straight | (novelty > MIN_NOVELTY)
        score = (1 - common) * np.maximum(straightness, novelty)
        for i in np.flatnonzero(is_found):
            yield _Window(int(first[i]), int(last[i]), float(score[i]))


def _is_pan(camera: CameraMotion, first: NDArray, last: NDArray) -> NDArray[np.bool_]:
    """(N,) whether a camera explains the change between two pictures: much of it if it moves far, else nearly all."""

    def between(values: NDArray) -> NDArray:
        sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
        return sums[last] - sums[first]

    share = between(camera.explained) / np.maximum(between(camera.changes), 1e-3)
    is_far = np.abs(between(camera.shifts)).max(axis=1) > MIN_PAN
    return np.where(is_far, share > MAX_CAMERA, share > MAX_SLOW_CAMERA)


def _is_swept(times: NDArray, camera: CameraMotion, windows: tuple[NDArray, ...]) -> NDArray[np.bool_]:
    """(N,) whether the picture moves on by its own width or height, much faster than before and after, as in a slide.

    windows: (N,) indices of where each side before begins, the window begins and ends, and the side after it ends.
    """
    ways = np.concatenate([np.zeros((1, 2)), np.cumsum(camera.shifts, axis=0)])
    before, inside, after = (np.abs(ways[end] - ways[start]).max(axis=1) for start, end in pairwise(windows))
    seconds = [np.maximum(times[end] - times[start], STEP) for start, end in pairwise(windows)]
    fastest = np.maximum(before / seconds[0], after / seconds[2])
    return (inside > MIN_SWEEP) & (inside / seconds[1] > MIN_SPEED_RATIO * fastest)


def _changes(times: NDArray, pictures: NDArray) -> NDArray:
    """(N - 1,) change from each picture to the next in grey levels; over unseen frames at least as much as usual."""
    seconds, changes = np.diff(times), np.abs(np.diff(pictures, axis=0)).mean(axis=1)
    usual = np.median(changes / seconds)
    return np.where(seconds > MAX_STEP, np.maximum(changes, usual * seconds), changes)


def _refine(times: NDArray, pictures: NDArray, window: _Window) -> Span:
    """The part of a window in which pictures are like neither of its ends."""
    inside = pictures[window.first : window.last + 1]
    whole = np.abs(inside[-1] - inside[0]).mean()
    from_first = np.abs(inside - inside[0]).mean(axis=1)
    from_last = np.abs(inside - inside[-1]).mean(axis=1)
    start = int(np.flatnonzero(from_first <= REST * whole)[-1])
    ends = np.flatnonzero(from_last <= REST * whole)
    end = int(ends[ends > start][0])
    return Span(float(times[window.first + start]), float(times[window.first + end]))


def _find_collapses(times: NDArray, pictures: NDArray) -> Iterator[Span]:
    """Runs of flat pictures, with the fades on both sides; at an end only where they are black or white."""
    _, contrast = _normalise(pictures)
    flat = contrast < max(MIN_CONTRAST, FLAT_SHARE * np.median(contrast))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(int)))
    reach = WINDOWS[-1] / 2
    for start, end in edges.reshape(-1, 2):
        before = np.flatnonzero((times >= times[start] - reach) & (times < times[start]))
        after = np.flatnonzero((times > times[end - 1]) & (times <= times[end - 1] + reach))
        flattest = start + int(contrast[start:end].argmin())
        is_end = not MAX_BLACK < pictures[flattest].mean() < MIN_WHITE
        is_dip = bool(is_end and contrast[flattest] < MAX_DIP * np.median(contrast))
        if is_dip or (len(before) and len(after)):
            # At an end, the outermost picture lies within the span.
            first = times[_recovered(contrast, before[::-1])] if len(before) else times[0] - 1e-3
            last = times[_recovered(contrast, after)] if len(after) else times[-1] + 1e-3
            yield Span(float(first), float(last), is_dip)


def _recovered(contrast: NDArray, indices: NDArray) -> int:
    """The first of the indices at which nearly all of the contrast that is usual after them has come."""
    high = contrast[indices] >= (1 - REST) * np.quantile(contrast[indices], USUAL_CONTRAST)
    return int(indices[np.flatnonzero(high)[0]])
