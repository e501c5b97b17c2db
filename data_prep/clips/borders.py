"""Constant borders of a shot: letterbox, pillars, windowbox, blurred copies at the sides, and surrounds of insets.

A border counts only if its inner edge is straight: from the picture's edge inwards, most lines meet the content at the
same pixel, in all frames together. The outline of a subject before a black background, a night sky or a lamp is not
straight. In doubt, less is cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.inset_surround import find_inset_surround

LINE_STEP = 8
"""Number of pixels along an edge that are averaged to one sample, which removes grain and compression noise."""
TOLERANCE = 10.0
"""Largest difference from the border's colour, in grey levels, of samples that belong to the border."""
MIN_CONTRAST = 24.0
"""Smallest difference between the border's colour and the content beside it, in at least one frame."""
MIN_SHARE = 0.01
"""Smallest border, as a share of the picture's width or height; screens have narrower margins."""
MAX_SHARE = 0.45
"""Largest border."""
MIN_STRAIGHT = 0.55
"""Smallest share of the lines that meet the content within a pixel of the same depth, if two opposite borders agree."""
MIN_STRAIGHT_ALONE = 0.8
"""The same for a black border without an opposite one."""
BLACK = 24.0
"""Largest level of a black border."""
MIN_LINES_ALONE = 0.95
"""Smallest share of all lines that meet content there, for a border of another colour without an opposite one. Measured
on white bars: 1.0; a white sky or wall has no such edge."""
MAX_UNEVEN_COLOUR = 3.0
"""Largest mean difference from the colour of such a border, in grey levels: real areas are shaded."""
OUTLINE_SHARE = 0.1
"""Depth, as a share of the picture, within which lines must meet the content to be compared: a round outline meets
many more lines there than at its outermost point."""
MIN_LINES = 0.2
"""Smallest share of lines along an edge that meet content at all."""
MIN_FILLED = 0.75
"""Smallest share of a border, in the mean of all frames, that is of its colour; logos and subtitles cover the rest."""
MIN_FULLER = 0.35
"""Smallest difference between the shares of that colour in the border and right inside it: between lines of text on a
black screen there is none."""
MIN_PRESENT = 0.4
"""Smallest share of frames with content right at the edge: the outline of something that moves is there in few."""
MIN_PRESENT_LINES = 0.3
"""Smallest share of the lines with content right at the edge in such a frame."""
MAX_UNEVEN = 0.03
"""Largest difference of two opposite borders that are not black, as a share of the picture."""
MAX_UNEVEN_BLURRED = 0.01
"""The same for two blurred borders."""
MAX_BLEND = 8
"""Largest number of pixels over which scaling and compression blend border and content."""
MAX_RISE = 0.85
"""A line that differs from the border by less than this share of the next line's difference counts as blended."""
NUM_FRAMES_BLURRED = 4
"""Number of frames in which blurred borders are looked for."""
NUM_FRAMES_CONSTANT = 8
"""Number of frames in which a constant picture around the moving one is looked for."""
MIN_DETAIL_LEVELS = 2
"""Largest second difference that counts as no detail, in grey levels: rounding leaves that much in a blurred area."""
MAX_DETAIL = 0.35
"""Largest detail of a blurred border, relative to that of the most detailed lines."""
MIN_STEP = 4.0
"""Smallest step at a blurred border's edge, relative to the steps within the border."""
MIN_STEP_LINES = 0.25
"""Smallest share of lines along the edge of a blurred border that have a step."""


class Borders(NamedTuple):
    """Width in pixels of the border on each side of a picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """View the (H, W, ...) picture without its border."""
        height, width = image.shape[:2]
        return image[self.top : height - self.bottom, self.left : width - self.right]

    def widen(self, depths: Sequence[int]) -> Borders:
        """Add borders that were found in the cropped picture; `depths` are in the same order."""
        return Borders(*(own + depth for own, depth in zip(self, depths, strict=True)))


class _Edge(NamedTuple):
    """A border found at one end of the frames."""

    depth: int
    """Width in pixels, blended pixels included."""
    straight: float
    """Share of the lines that meet the content there, of those that meet content at all."""
    colour: NDArray[np.int16]
    """(3,) RGB levels."""
    is_drawn: bool
    """Whether nearly all lines meet the content there, and the border is of nearly one colour."""


def find_borders(images: Sequence[NDArray[np.uint8]]) -> Borders:
    """Find the borders that all (H, W, 3) RGB frames of a shot have in common; none of a single frame."""
    found = Borders()
    if len(images) < 2:
        return found
    for _ in range(3):  # The sides of a windowbox are found one after the other, and blurred sides may have bars too.
        inside = [found.crop(image) for image in images]
        left, right = _find_ends(inside, axis=1)
        top, bottom = _find_ends(inside, axis=0)
        if not any((left, top, right, bottom)):
            break
        found = found.widen((left, top, right, bottom))
        rest = found.crop(images[0]).shape
        if any(side < (1 - 2 * MAX_SHARE) * whole for side, whole in zip(rest, images[0].shape, strict=True)):
            return Borders()  # a flat picture with a few words on it: what lies around these is no border
    inside = [found.crop(image) for image in _some(images, NUM_FRAMES_CONSTANT)]
    return found.widen(find_inset_surround([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in inside]))


def _some(images: Sequence[NDArray[np.uint8]], num: int) -> Sequence[NDArray[np.uint8]]:
    """At most `num` of the images, spread evenly."""
    return images[:: -(-len(images) // num)]


def _find_ends(images: Sequence[NDArray[np.uint8]], *, axis: int) -> tuple[int, int]:
    """Depths of the borders at the start and the end of the rows (axis 0) or columns (axis 1) of the frames."""
    turned = images if axis == 0 else [image.swapaxes(0, 1) for image in images]
    colours = [_one_colour(np.stack([image[end] for image in turned])) for end in (1, -2)]
    if any(colour is not None for colour in colours):
        lines = _sample_lines(images, axis)
        ends = [_find_edge(way, colour) for way, colour in zip((lines, lines[:, ::-1]), colours, strict=True)]
        if all(ends) and _agree(*ends, len(turned[0])):
            return ends[0].depth, ends[1].depth
        alone = [end.depth if end is not None and _stands_alone(end) else 0 for end in ends]
        if any(alone):
            return alone[0], alone[1]
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in _some(images, NUM_FRAMES_BLURRED)]
    return _find_blurred_ends(greys if axis == 0 else [cv2.transpose(grey) for grey in greys])


def _one_colour(line: NDArray[np.uint8]) -> NDArray[np.int16] | None:
    """(3,) colour of most of a (T, W, 3) line next to the picture's edge; None if it is not of one colour."""
    colour = np.median(line, axis=(0, 1)).astype(np.int16)
    is_near = np.abs(line - colour).max(axis=2) <= 2 * TOLERANCE
    return colour if is_near.mean(axis=1).min() > 0.5 else None


def _agree(first: _Edge, second: _Edge, length: int) -> bool:
    """Whether two opposite borders are of one colour, and equally deep unless they are black."""
    if np.abs(first.colour - second.colour).max() > TOLERANCE:
        return False
    is_black = max(first.colour.max(), second.colour.max()) <= BLACK
    return is_black or abs(first.depth - second.depth) <= max(2, MAX_UNEVEN * length)


def _stands_alone(edge: _Edge) -> bool:
    return edge.is_drawn or (edge.colour.max() <= BLACK and edge.straight >= MIN_STRAIGHT_ALONE)


def _sample_lines(images: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """(T, L, n, 3) frames averaged along their rows (axis 0) or columns (axis 1); L is their length along the axis."""
    height, width = images[0].shape[:2]
    size = (max(8, width // LINE_STEP), height) if axis == 0 else (width, max(8, height // LINE_STEP))
    lines = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])
    return lines if axis == 0 else lines.swapaxes(1, 2)


def _find_edge(lines: NDArray[np.uint8], colour: NDArray[np.int16] | None) -> _Edge | None:
    """The deepest straight edge at which most lines leave the border; most of what lies before it has its colour.

    lines: (T, L, n, 3) from the border inwards.
    """
    if colour is None:
        return None
    length = lines.shape[1]
    last = round(MAX_SHARE * length)
    lines = lines[:, : last + max(2 * MAX_BLEND, round(OUTLINE_SHARE * length))]
    distance = np.maximum(lines.max(axis=0) - colour, colour - lines.min(axis=0)).max(axis=2)
    near = distance <= TOLERANCE
    leaves = np.zeros(near.shape, bool)
    leaves[2:] = near[:-2] & near[1:-1] & ~near[2:]
    meets = _any_of_next(~near, max(MAX_BLEND, round(OUTLINE_SHARE * length)))
    leaving = np.convolve(leaves.mean(axis=1), np.ones(3), mode="same")
    straight = leaving / np.maximum(meets.mean(axis=1), MIN_LINES)
    is_edge = straight >= MIN_STRAIGHT
    is_edge[: max(2, round(MIN_SHARE * length))] = is_edge[last:] = False
    if is_edge.any():
        distances = np.abs(lines - colour).max(axis=3)
        is_near = distances <= TOLERANCE
        filled = np.cumsum(is_near.mean(axis=(0, 2))) / np.arange(1, len(near) + 1)
        is_edge &= np.roll(filled, 2) >= MIN_FILLED
    if not is_edge.any():
        return None
    depth = int(np.flatnonzero(is_edge)[-1])
    depth = max(range(max(2, depth - 2), depth + 1), key=lambda row: leaving[row])
    inside = is_near[:, depth : depth + round(OUTLINE_SHARE * length)].mean()
    if filled[depth - 2] - inside < MIN_FULLER:
        return None
    at_edge = leaves[depth - 1 : depth + 2].any(axis=0)
    present = ~is_near[:, depth : depth + 3].all(axis=1)[:, at_edge]
    if (present.mean(axis=1) >= MIN_PRESENT_LINES).mean() < MIN_PRESENT:
        return None
    profile = distance[depth - 1 : depth + MAX_BLEND + 2, at_edge].mean(axis=1)
    rises = np.diff(profile[:MAX_BLEND])
    step = 1 + int(np.argmax(rises > 0.5 * rises.max()))
    step += bool(profile[step] < MAX_RISE * profile[step + 1])
    if profile[step:].mean() < MIN_CONTRAST:
        return None
    unevenness = distances[:, : depth - 2][is_near[:, : depth - 2]].mean()
    is_drawn = leaving[depth] >= MIN_LINES_ALONE and unevenness <= MAX_UNEVEN_COLOUR
    return _Edge(depth - 1 + step, float(straight[depth]), colour, bool(is_drawn))


def _any_of_next(values: NDArray[np.bool_], num: int) -> NDArray[np.bool_]:
    """(L, n) whether a value is true in any of the `num` lines from each one on."""
    counts = np.cumsum(np.pad(values, ((1, num), (0, 0))), axis=0, dtype=np.int32)
    return counts[num:-1] > counts[: -num - 1]


def _find_blurred_ends(greys: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    """Depths of two blurred borders of equal depth, at the start and the end of the first axis of (L, n) frames."""
    detail = np.mean([_detail(grey) for grey in greys], axis=0)
    margin = max(4, round(0.05 * len(detail)))
    outer = max(detail[2:margin].mean(), detail[-margin:-2].mean())
    if outer > MAX_DETAIL * np.percentile(detail, 90):
        return 0, 0
    jumps = np.stack([cv2.absdiff(grey[1:], grey[:-1]) for grey in greys])
    start = _blurred_edge(jumps, detail)
    end = _blurred_edge(jumps[:, ::-1], detail[::-1])
    is_even = abs(start - end) <= max(2, MAX_UNEVEN_BLURRED * len(detail))
    return (start, end) if start and end and is_even else (0, 0)


def _detail(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(L,) detail of each line of a (L, n) frame: its mean second difference, without small ones."""
    second = cv2.convertScaleAbs(cv2.filter2D(grey, cv2.CV_16S, np.array([[1, -2, 1]], np.float32)))
    _, second = cv2.threshold(second, MIN_DETAIL_LEVELS, 0, cv2.THRESH_TOZERO)
    return cv2.reduce(second, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[:, 0]


def _blurred_edge(jumps: NDArray[np.uint8], detail: NDArray[np.float32]) -> int:
    """Depth of the blurred border at the start, with one pixel of margin; 0 if there is none.

    jumps: (T, L - 1, n) difference of each sample from the next one inwards; detail: (L,).
    """
    length = len(detail)
    steps = jumps.mean(axis=(0, 2))
    first = max(4, round(MIN_SHARE * length))
    for depth in range(first, round(MAX_SHARE * length)):
        if steps[depth] >= MIN_STEP * max(0.5, steps[1 : depth - 1].max()):
            inner = np.percentile(detail[depth + 2 : length - depth - 2], 75)
            stepping = jumps[:, depth] > 3 * np.maximum(1, jumps[:, 1 : depth - 1].mean(axis=1))
            if detail[1 : depth - 1].mean() <= MAX_DETAIL * inner and stepping.mean() > MIN_STEP_LINES:
                return depth + 2
    return 0
