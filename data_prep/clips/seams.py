"""Strips of another shot along a side of a frame, which a slow slide, cover or wipe leaves at the end of a shot.

A strip ends in a seam: a straight edge from side to side that the shot's other frames do not have in this place, and
beyond which everything differs from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.frames.keypoints import DETECTION_SIZE, FrameFeatures
from mimicbrush.video.decoded_clip import Frame

MIN_SIDE = 96
"""Smallest side in pixels of frames in which seams are looked for; shorter ones may look like seams by chance."""
MAX_WIDTH = 0.16
"""Largest width of a strip, as a share of the picture's width or height; a wider one is found otherwise."""
STEP = 3
"""Distance in pixels over which the edge of a seam is measured, as encoders blur it."""
MIN_EDGE = 10
"""Smallest step in grey levels that counts as an edge; also, the smallest difference between two frames that counts, of
such a step or of a pixel."""
MIN_SEAM = 0.7
"""Smallest share of the seam's pixels at which there is a new edge. Measured: 0.73 to 0.90 in seven frames with a strip
of 2 to 11 %, at most 0.69 in 60 frames without one, most of them under moving cameras."""
USUAL, MIN_ABOVE_USUAL = 0.9, 0.22
"""Quantile of that share in the lines beside the strip, and smallest amount by which the seam exceeds it: under a
moving camera all edges are new. Measured: 0.25 to 0.57, at most 0.19 where a texture moves."""
MIN_CHANGED = 0.6
"""Smallest share of the strip's pixels that differ."""
NUM_FRAMES_AWAY = 3
"""Number of frames by which the other frame lies further from the end of the shot, if there are as many."""


def without_strips(
    parts: Sequence[Sequence[list[Frame]]], is_clean: Sequence[bool], *, features: FrameFeatures
) -> list[list[Frame]]:
    """The frames of each shot without those next to a transition that show a strip of another shot.

    parts: the shots between two bounds; is_clean: whether no frame at a bound can show both sides.
    """
    left = []
    for part, clean_start, clean_end in zip(parts, [True, *is_clean], [*is_clean, True], strict=True):
        for number, frames in enumerate(part):
            is_first, is_last = number == 0, number == len(part) - 1
            start = 0 if is_first and clean_start else num_with_strip(frames, features=features)
            end = 0 if is_last and clean_end else num_with_strip(frames[:start:-1], features=features)
            left.append(frames[start : len(frames) - end])
    return left


def num_with_strip(frames: Sequence[Frame], *, features: FrameFeatures) -> int:
    """Count the frames with a strip of another shot, from the first one on.

    frames: those of a shot, beginning at one of its ends. At most half of them are counted.
    """
    greys = [features.greys.at(frame, DETECTION_SIZE) for frame in frames[: len(frames) // 2 + NUM_FRAMES_AWAY]]
    for number in range(len(frames) // 2):
        if not has_strip(greys[number], greys[min(number + NUM_FRAMES_AWAY, len(greys) - 1)]):
            return number
    return len(frames) // 2


def has_strip(frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether a (H, W) grey frame shows a strip of something else along one of its sides, unlike another frame."""
    if min(frame.shape) < MIN_SIDE:
        return False
    return any(_has_strip_at_left(*(np.rot90(grey, turns) for grey in (frame, other))) for turns in range(4))


def _has_strip_at_left(frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    one, two = (grey.astype(np.int16) for grey in (frame, other))
    edges, other_edges = (grey[:, STEP:] - grey[:, :-STEP] for grey in (one, two))
    new = ((np.abs(edges) > MIN_EDGE) & (np.abs(edges - other_edges) > MIN_EDGE)).mean(axis=0)
    seam = STEP - 1 + int(new[STEP - 1 : max(STEP, int(MAX_WIDTH * frame.shape[1]))].argmax())
    stands_out = new[seam] >= max(MIN_SEAM, MIN_ABOVE_USUAL + float(np.quantile(new[seam + STEP :], USUAL)))
    return bool(stands_out and (np.abs(one - two)[:, : seam + 1] > MIN_EDGE).mean() >= MIN_CHANGED)
