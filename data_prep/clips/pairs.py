"""Choose frame pairs: similar enough to share content, different enough to be worth learning from (paper, 3.3).

Similarity is the SSIM of the two grey frames where they show something. The paper names no limits, and a limit means
nothing without the size at which SSIM is measured; the config holds both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.shots import Shot
from data_prep.config import SSIM_WINDOW, PairConfig
from data_prep.frames.images import GreyFrames
from data_prep.frames.keypoints import FrameFeatures, KeypointMatcher, vouch_for
from data_prep.frames.likeness import Likeness, Look, compare, look_at
from data_prep.frames.moving_shadows import MovingShadows
from mimicbrush.data.picture_limits import is_storable
from mimicbrush.video.decoded_clip import Frame

TRIES_PER_PAIR = 4
"""Number of pairs below the band that are matched for each pair that a shot may have."""
MIN_BESIDE_SHADOWS = 0.1
"""Smallest share of the pairs in the band that shadows over a still picture do not explain if they explain the others;
one frame of 16 in which something else is seen takes part in an eighth of all pairs."""
NUM_GAP_PARTS = 3
"""Number of ranges of distances in time (short, medium, long) over which a shot's pairs are spread."""


class ChosenPair(NamedTuple):
    """Two frames of a shot, earlier first."""

    first: Frame
    second: Frame
    similarity: float
    is_vouched: bool = False
    """Whether it lies below the band and matched keypoints vouch for it."""

    @property
    def gap(self) -> float:
        """Seconds between the two frames."""
        return self.second.time - self.first.time


class Selection(NamedTuple):
    """The pairs chosen from a shot's frames, and what was dropped."""

    pairs: list[ChosenPair]
    candidates: list[ChosenPair]
    """Every pair that was compared, inside the band or not; the report shows their histogram."""
    dropped_frames: Counter[str]
    """Number of dropped frames by reason."""
    dropped_pairs: Counter[str]
    """Number of dropped pairs by reason."""
    examples: dict[str, list[Frame]]
    """The first frame, or pair of frames, that was dropped for each reason."""


class _UsableFrame(NamedTuple):
    """A frame that may be part of a pair."""

    frame: Frame
    grey: NDArray[np.uint8]
    look: Look


def select_pairs(
    shot: Shot, config: PairConfig, generator: np.random.Generator, matcher: KeypointMatcher | None = None
) -> Selection:
    """Choose at most `pairs_per_shot` pairs of a shot, with a similarity in the band, spread over band and gaps.

    If there are fewer, pairs below the band are added for which matched keypoints vouch.
    """
    selection = Selection([], [], Counter(), Counter(), {})
    matcher = matcher or KeypointMatcher(FrameFeatures())
    usable = _drop_poor_frames(shot.frames, config, selection, matcher.features.greys)
    inside: list[ChosenPair] = []
    below: list[ChosenPair] = []
    for first, second in combinations(usable, 2):
        pair = ChosenPair(first.frame, second.frame, 0.0)
        if pair.gap < config.min_gap:
            selection.dropped_pairs["too_close"] += 1
            continue
        if shot.are_apart(first.frame, second.frame):
            reason = "cut_between"
        else:
            likeness = compare(first.look, second.look, min_changed=config.min_changed)
            pair = pair._replace(similarity=likeness.similarity)
            selection.candidates.append(pair)
            reason = _misfit(likeness, config)
        if reason is None:
            inside.append(pair)
        elif reason == "too_unlike":
            below.append(pair)
        else:
            _drop(reason, pair, selection)
    if config.min_changed:
        inside = _drop_shadowed(inside, usable, selection)
    chosen = _spread(inside, config.pairs_per_shot, config, generator)
    if len(chosen) < len(inside):
        selection.dropped_pairs["not_needed"] += len(inside) - len(chosen)
    num_missing = config.pairs_per_shot - len(chosen)
    if config.vouching and num_missing and below:
        chosen += _vouched(below, num_missing, config, generator, matcher)
    kept = {(pair.first.time, pair.second.time) for pair in chosen}
    for pair in below:
        if (pair.first.time, pair.second.time) not in kept:
            _drop("too_unlike", pair, selection)
    return selection._replace(pairs=sorted(chosen, key=lambda pair: (pair.first.time, pair.second.time)))


def _drop(reason: str, pair: ChosenPair, selection: Selection) -> None:
    """Count a pair that is not kept; the first one for each reason is an example."""
    selection.dropped_pairs[reason] += 1
    selection.examples.setdefault(reason, [pair.first, pair.second])


def _drop_shadowed(pairs: list[ChosenPair], usable: list[_UsableFrame], selection: Selection) -> list[ChosenPair]:
    """Drop, and count, the pairs that differ only in shadows that move over a still picture; frames with alpha are not
    judged."""
    if not pairs or any(each.frame.has_alpha for each in usable):
        return pairs
    shadows = MovingShadows([each.grey for each in usable])
    numbers = {each.frame.time: number for number, each in enumerate(usable)}
    explained = [shadows.explain(numbers[pair.first.time], numbers[pair.second.time]) for pair in pairs]
    if sum(explained) > (1 - MIN_BESIDE_SHADOWS) * len(pairs):
        explained = [True] * len(pairs)
    for pair, is_explained in zip(pairs, explained, strict=True):
        if is_explained:
            _drop("too_alike", pair, selection)
    return [pair for pair, is_explained in zip(pairs, explained, strict=True) if not is_explained]


def _vouched(
    below: list[ChosenPair], num: int, config: PairConfig, generator: np.random.Generator, matcher: KeypointMatcher
) -> list[ChosenPair]:
    """Choose at most `num` of the pairs below the band for which matched keypoints vouch.

    At most TRIES_PER_PAIR times `pairs_per_shot` of them are matched, spread over similarities, gaps and frames.
    """
    tried = _spread(below, TRIES_PER_PAIR * config.pairs_per_shot, config, generator)
    verified = [pair for pair in tried if vouch_for(matcher.match(pair.first, pair.second))]
    return [pair._replace(is_vouched=True) for pair in _spread(verified, num, config, generator)]


def _drop_poor_frames(
    frames: Sequence[Frame], config: PairConfig, selection: Selection, greys: GreyFrames
) -> list[_UsableFrame]:
    """Frames that may be part of a pair; the others are counted in `selection`, by reason."""
    usable: list[_UsableFrame] = []
    for frame in frames:
        grey = greys.at(frame, config.ssim_size)
        reason = _defect(frame, grey, usable, config)
        if reason is None:
            usable.append(_UsableFrame(frame, grey, look_at(grey, has_alpha=frame.has_alpha)))
        else:
            selection.dropped_frames[reason] += 1
            selection.examples.setdefault(reason, [frame])
    return usable


def _defect(frame: Frame, grey: NDArray[np.uint8], earlier: Sequence[_UsableFrame], config: PairConfig) -> str | None:
    """The reason to drop a frame; None if it may be part of a pair."""
    height, width = frame.image.shape[:2]
    if min(grey.shape) < SSIM_WINDOW or not is_storable(width, height):
        return "too_small"
    if grey.mean() < config.min_brightness:
        return "near_black"
    if cv2.Laplacian(grey, cv2.CV_32F).var() < config.min_sharpness:
        return "blurred"
    if any(cv2.norm(grey, other.grey, cv2.NORM_L1) < config.min_difference * grey.size for other in earlier):
        return "near_duplicate"
    return None


def _misfit(likeness: Likeness, config: PairConfig) -> str | None:
    """The reason to drop a pair; None if its similarity lies in the band and enough of the picture changed."""
    if likeness.similarity > config.ssim_high or likeness.changed < config.min_changed:
        return "too_alike"
    return "too_unlike" if likeness.similarity < config.ssim_low else None


def _spread(pairs: list[ChosenPair], num: int, config: PairConfig, generator: np.random.Generator) -> list[ChosenPair]:
    """Choose at most `num` of the pairs, in order of time.

    They are chosen one by one: first comes the pair whose part of the band has been chosen least so far, then the one
    whose part of the gaps has, then the one whose frames have; ties are broken at random.
    """
    left = [pairs[index] for index in generator.permutation(len(pairs))]
    longest = max((pair.gap for pair in pairs), default=1.0)
    width = (config.ssim_high - config.ssim_low) / config.pairs_per_shot
    taken: Counter = Counter()
    chosen: list[ChosenPair] = []

    def parts(pair: ChosenPair) -> tuple[tuple, ...]:
        band = "band", int((pair.similarity - config.ssim_low) / width)
        gap = "gap", int(NUM_GAP_PARTS * pair.gap / longest - 1e-9)
        return band, gap, ("frame", pair.first.time), ("frame", pair.second.time)

    while left and len(chosen) < num:
        best = min(left, key=lambda pair: [taken[part] for part in parts(pair)])
        left.remove(best)
        taken.update(parts(best))
        chosen.append(best)
    return sorted(chosen, key=lambda pair: (pair.first.time, pair.second.time))
