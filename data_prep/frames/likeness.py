"""How alike two frames of a shot are, and how much of the picture changed between them.

Five things would pass for likeness or change and are left out. Empty area, flat in both frames, has an SSIM of 1 and no
change whatever the picture shows: it counts for at most `MAX_FLAT_WEIGHT` of the picture. A change of light (fade,
exposure, gamma, saturation, white balance) leaves the structure of every small window: where light changed, only a
change of structure counts, and only where the level changed too once the tones of both frames are matched: grain has
another structure in every frame. The soft edge of a shadow lays a slope over a window and leaves the rest of its
structure; a hard edge changes it along a narrow line alone, and shadows of leaves or blinds have edges that are soft in
more detail. A banner, subtitle, clock or ticker lies in a narrow strip
near the top or bottom: if only that changed, the picture did not. A window that moves over a still, cut out by alpha,
shows no change either: what is seen in both frames stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.config import SSIM_WINDOW
from data_prep.frames.images import shrink
from data_prep.frames.ssim import SPREAD_OF_ONE_LEVEL, Moments, moments, similarity_map
from data_prep.frames.structure import (
    MIN_KEPT_STRUCTURE,
    VANISHED_TEXTURE,
    Structure,
    covariance_of,
    find_lost,
    measure_structure,
    window_mean,
)

CHANGED_LEVEL = 8.0
"""Grey levels by which the mean of a window must differ to count as changed; film grain changes it less."""
FLAT_LEVEL = 2.0
"""Largest standard deviation of a window that is flat, in grey levels."""
MAX_FLAT_WEIGHT = 0.4
"""Largest weight of all flat windows together. In less flat pictures every window weighs the same."""
SMALL_SIZE = 64
"""Short side of the small pictures in which changes of light and strips are looked for, in pixels."""
MIN_TEXTURED = 0.02
"""Smallest share of windows with a structure in both frames that is enough to judge a change of light."""
MIN_COMPARED_TEXTURE = 4.5
"""Smallest standard deviation, in grey levels, of two windows whose structure may count as changed under changed light;
the geometric mean of both. Measured: weaker structure does not survive the encoder where a vignette or shadow falls."""
MAX_LOST_STRUCTURE = 0.002
"""Largest share of the windows with a structure that lose it where the light alone changed. Measured: none under a
flicker that leaves the dark half as it is, 0.3 % or more where something moves."""
MIN_SHADED = 0.2
"""Smallest share of the windows whose level changed that must have a structure in both frames, besides a slope, to tell
whether a shadow alone fell on them."""
MAX_LOST_IN_SHADE = 0.03
"""Largest share of these windows whose structure differs, besides gain, offset and slope, under a shadow alone.
Measured: at most 0.01 under the soft edge of a shadow, 0.06 or more in 3 000 pairs of 155 moving clips."""
HARD_SHADOW = (0.15, 0.75)
"""Smallest and largest share of the picture whose level changes under a shadow with a hard edge: of less, it cannot be
told from things that move a little, of more, from things that move while the light changes."""
EDGE_WIDTH = 6
"""Width in small pixels, windows included, up to which structure is lost at a hard edge."""
MAX_LOST_AT_EDGE = 0.2
"""Largest share of the structure that is lost there under such a shadow."""
MAX_LOST_BESIDE_EDGE = 0.005
"""Largest share of it that is lost in wider places; with more, people before a plain wall would count as shadows."""
DETAIL_SIZE = 128
"""Short side in pixels of the pictures in which shadows of leaves and blinds are told from motion."""
MAX_LOST_UNDER_LEAVES = 0.4
"""Largest share of the windows in `SMALL_SIZE` whose structure differs under such shadows; with more, pictures are not
compared in more detail, which takes time."""
MAX_LOST_IN_DETAIL = 0.08
"""Largest share of the windows in `DETAIL_SIZE` that differ. Measured: 0.02 to 0.06 under shadows of leaves and blinds,
0.18 or more in 460 pairs of moving clips."""
WHITE = 254
"""Grey level from which a frame with alpha counts as clear, as it is composited on white."""
MIN_SEEN_TEXTURE = 0.02
"""Smallest share of what is seen in both of two such frames that must have a structure, to tell whether it moves."""
MAX_SEEN_CHANGE = 0.02
"""Largest share of it whose level may differ in a still. Measured: at most 0.015 in cut-outs of three stills, 0.02 to
0.9 in 13 cut-outs of moving clips."""
MAX_SEEN_LOST = 0.1
"""Largest share of its structure that may differ."""
MIN_TONE_CHANGE = 6.0
"""Smallest difference of two windows' means, in grey levels, after the tones were matched. Measured: over at most 4.5 %
of a still under changing gamma and film grain, 8 % or more where something moves."""
MAX_SAME_LIGHT = 2.0
"""Largest difference, in grey levels, over more than half of the picture for two frames in the same light."""
STRIP_HEIGHT = 0.2
"""Largest height of a strip, as a share of the picture's height."""
STRIP_ZONE = 0.3
"""Distance from the top or bottom within which a strip must lie, as a share of the picture's height."""
MAX_BESIDE_STRIPS = 0.01
"""Largest share of the picture that may change outside the strips if they alone changed."""


class Look(NamedTuple):
    """The parts of a frame that are compared with other frames."""

    moments: Moments
    """The grey frame at the size at which SSIM is measured, and its window sums."""
    flat: NDArray[np.bool_]
    """(H, W) whether the window around each pixel is flat."""
    structure: Structure
    """The frame at `SMALL_SIZE`."""
    seen: NDArray[np.bool_] | None = None
    """(h, w) whether the small window around each pixel shows nothing clear; None in a frame without alpha."""


class Likeness(NamedTuple):
    """Comparison of two frames."""

    similarity: float
    """Mean SSIM of the grey frames."""
    changed: float
    """Share of the picture that changed."""


def look_at(grey: NDArray[np.uint8], *, has_alpha: bool = False) -> Look:
    """Prepare a (H, W) grey frame, of the size at which SSIM is measured, for comparisons."""
    sums = moments(grey)
    flat = sums.window_spread < FLAT_LEVEL**2 * SPREAD_OF_ONE_LEVEL
    structure = measure_structure(shrink(grey, SMALL_SIZE).astype(np.float32))
    clear = shrink((grey >= WHITE).astype(np.float32), SMALL_SIZE) if has_alpha else None
    return Look(sums, flat, structure, None if clear is None else window_mean(clear) < 0.01)


def compare(first: Look, second: Look, *, min_changed: float) -> Likeness:
    """Compare two frames; changes of light and of strips are looked for if at least `min_changed` seems to change."""
    apart = cv2.absdiff(first.moments.window_sum, second.moments.window_sum) > int(CHANGED_LEVEL * SSIM_WINDOW**2)
    similar = similarity_map(first.moments, second.moments)
    flat = first.flat & second.flat & ~apart
    border = SSIM_WINDOW // 2
    similarity = _weigh(similar, flat[border:-border, border:-border])
    gain = _content_gain(_share(flat))
    changed = gain * _share(apart)
    if changed >= min_changed:
        changed = min(changed, gain * _lasting_change(first, second))
        if first.seen is not None and second.seen is not None and _is_still(first, second, first.seen & second.seen):
            changed = 0.0
    return Likeness(similarity, changed)


def _is_still(first: Look, second: Look, seen: NDArray[np.bool_]) -> bool:
    """Whether what is `seen` in both of two frames with alpha has a structure and stays as it is."""
    num_seen = np.count_nonzero(seen)
    apart = seen & (cv2.absdiff(first.structure.levels, second.structure.levels) > CHANGED_LEVEL)
    covariance = covariance_of(first.structure, second.structure)
    judged, lost = find_lost(first.structure, second.structure, seen, covariance)
    num_judged = np.count_nonzero(judged)
    return (
        num_judged > MIN_SEEN_TEXTURE * num_seen
        and np.count_nonzero(lost) <= MAX_SEEN_LOST * num_judged
        and np.count_nonzero(apart) <= MAX_SEEN_CHANGE * num_seen
    )


def _weigh(values: NDArray[np.float32], flat: NDArray[np.bool_]) -> float:
    """Mean of a (H, W) map in which flat windows weigh at most `MAX_FLAT_WEIGHT`; continuous in their number."""
    share = _share(flat)
    if not MAX_FLAT_WEIGHT < share < 1:
        return float(values.mean(dtype=np.float64))
    empty, content = (float(values[part].mean(dtype=np.float64)) for part in (flat, ~flat))
    return MAX_FLAT_WEIGHT * empty + (1 - MAX_FLAT_WEIGHT) * content


def _content_gain(flat: float) -> float:
    """Factor from a share of the whole picture to a share of its content, if its flat part weighs too much."""
    return (1 - MAX_FLAT_WEIGHT) / (1 - flat) if MAX_FLAT_WEIGHT < flat < 1 else 1.0


def _lasting_change(first_look: Look, second_look: Look) -> float:
    """Share of two small pictures that differs whatever the light, and not only in strips."""
    first, second = first_look.structure, second_look.structure
    difference = cv2.absdiff(first.levels, second.levels)
    apart = difference > CHANGED_LEVEL
    share = _share_beside_strips(apart, difference.size)
    textured = first.textured & second.textured
    covariance = covariance_of(first, second)
    if _is_shaded(first_look, second_look, apart, covariance):
        return 0.0
    lost = textured & (covariance < MIN_KEPT_STRUCTURE * first.deviation * second.deviation)
    if _share(difference <= MAX_SAME_LIGHT) > 0.5:
        if _share(textured) < MIN_TEXTURED or np.count_nonzero(lost) > MAX_LOST_STRUCTURE * np.count_nonzero(textured):
            return share
        return _share_beside_strips(_beyond_tones(first, second, apart), difference.size)
    changed, num_judged = _change_of_structure(first, second, textured, lost)
    return min(share, _share_beside_strips(changed, num_judged)) if num_judged else share


def _is_shaded(first: Look, second: Look, apart: NDArray[np.bool_], covariance: NDArray[np.float32]) -> bool:
    """Whether only shadows fell on the small pixels that are `apart`: what has a structure there kept it."""
    judged, lost = find_lost(first.structure, second.structure, apart, covariance)
    num_judged, num_lost = np.count_nonzero(judged), np.count_nonzero(lost)
    if num_judged <= MIN_SHADED * np.count_nonzero(apart):
        return False
    if num_lost <= MAX_LOST_IN_SHADE * num_judged or _is_hard_shadow(apart, judged, lost):
        return True
    return num_lost <= MAX_LOST_UNDER_LEAVES * num_judged and _is_shaded_in_detail(first, second)


def _is_hard_shadow(apart: NDArray[np.bool_], judged: NDArray[np.bool_], lost: NDArray[np.bool_]) -> bool:
    """Whether structure is lost along narrow lines alone, between the (h, w) pixels that are `apart` and the others."""
    low, high = HARD_SHADOW
    num_judged = np.count_nonzero(judged)
    if not low <= _share(apart) <= high or np.count_nonzero(lost) > MAX_LOST_AT_EDGE * num_judged:
        return False
    wide = cv2.morphologyEx(lost.view(np.uint8), cv2.MORPH_OPEN, np.ones((EDGE_WIDTH, EDGE_WIDTH), np.uint8))
    return np.count_nonzero(wide) <= MAX_LOST_BESIDE_EDGE * num_judged


def _is_shaded_in_detail(first: Look, second: Look) -> bool:
    """Whether larger pictures kept their structure where they differ: edges of shadows are soft in these."""
    one, other = (
        measure_structure(shrink(look.moments.grey, DETAIL_SIZE).astype(np.float32)) for look in (first, second)
    )
    apart = cv2.absdiff(one.levels, other.levels) > CHANGED_LEVEL
    judged, lost = find_lost(one, other, apart, covariance_of(one, other))
    num_judged = np.count_nonzero(judged)
    is_enough = num_judged > MIN_SHADED * np.count_nonzero(apart)
    return is_enough and np.count_nonzero(lost) <= MAX_LOST_IN_DETAIL * num_judged


def _change_of_structure(
    first: Structure, second: Structure, textured: NDArray[np.bool_], lost: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], int]:
    """(h, w) the pixels around which the structure changed, and the number of those around which that can be judged.

    textured: (h, w) the windows with a structure in both; lost: those of them that are not alike.
    None can be judged if hardly any window has a structure in both.
    """
    if _share(textured) < MIN_TEXTURED:
        return np.zeros_like(textured), 0
    differs = lost & (first.deviation * second.deviation > MIN_COMPARED_TEXTURE**2)
    gain = float(np.median(second.deviation[textured] / first.deviation[textured]))
    vanished = second.flat & (min(1.0, gain) * first.deviation > VANISHED_TEXTURE)
    vanished |= first.flat & (min(1.0, 1 / gain) * second.deviation > VANISHED_TEXTURE)
    return _beyond_tones(first, second, differs | vanished), np.count_nonzero(textured | vanished)


def _beyond_tones(first: Structure, second: Structure, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) those of the windows at `where` whose levels differ although the tones of both frames were matched."""
    beyond = where.copy()
    beyond[where] = _tone_change(first, second, where) > MIN_TONE_CHANGE
    return beyond


def _tone_change(first: Structure, second: Structure, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) difference of the means of N windows after the tones of one frame were matched to those of the other.

    It is the geometric mean of both ways: the way to the brighter frame also enlarges what noise is left.
    """
    ways = (first, second), (second, first)
    there, back = (np.abs(np.interp(a.mean[where], a.tones, b.tones) - b.mean[where]) for a, b in ways)
    return np.sqrt(there * back)


def _share_beside_strips(changed: NDArray[np.bool_], num_judged: int) -> float:
    """Share of the judged pixels that changed; if nearly all of them lie in strips, of those beside the strips."""
    rows = cv2.reduce(changed.view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
    beside = float(_without_strips(rows).sum() / num_judged)
    return beside if beside < MAX_BESIDE_STRIPS else float(rows.sum() / num_judged)


def _without_strips(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """(h,) changes in each row, without those of the fullest narrow strip near the top and near the bottom."""
    left = rows.copy()
    zone, height = (max(1, round(share * len(rows))) for share in (STRIP_ZONE, STRIP_HEIGHT))
    for way in (left, left[::-1]):
        counts = np.convolve(way[:zone], np.ones(height), mode="valid")
        start = int(counts.argmax())
        way[start : start + height] = 0
    return left


def _share(mask: NDArray[np.bool_]) -> float:
    return np.count_nonzero(mask) / mask.size
