"""Choose frame pairs: alike enough to share a content, unlike enough to teach something (paper, 3.3).

The likeness is the structural similarity of the two grey frames. The paper names no thresholds, and a threshold means
nothing without the size it was measured at: both stand in the config and in every sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.images import to_grey
from data_prep.video import Frame

WINDOW = 7
"""Side of the SSIM's uniform window, scikit-image's default."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which frames of a clip make a pair."""

    ssim_low: float = 0.25
    """Pairs less alike than this are dropped: the reference would not show the masked part."""
    ssim_high: float = 0.85
    """Pairs more alike than this are dropped: copying in place would solve them."""
    ssim_size: int = 256
    """Short side at which similarity is measured; smaller frames are measured as they are."""
    frames_per_clip: int = 12
    """Frames decoded per clip; every two of them are candidates."""
    pairs_per_clip: int = 4
    """At most so many pairs per clip, spread over the band."""
    min_gap: float = 0.25
    """Least distance in time between the two frames, in seconds."""
    min_brightness: float = 12.0
    """Frames with a lower mean grey level (0-255) are near-black and dropped."""
    min_sharpness: float = 8.0
    """Frames whose Laplacian has a lower variance are blurred and dropped."""
    min_difference: float = 1.0
    """A frame that differs from a kept one by less (mean grey levels, 0-255) is a near-duplicate and dropped."""

    def __post_init__(self) -> None:
        for name in ("ssim_low", "ssim_high"):
            if not -1 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; SSIM lies in [-1, 1]")
        if self.ssim_low >= self.ssim_high:
            raise ValueError(f"ssim_low ({self.ssim_low}) must be below ssim_high ({self.ssim_high}); swap them")
        if self.ssim_size < WINDOW:
            raise ValueError(f"ssim_size is {self.ssim_size}; the SSIM window needs at least {WINDOW}")
        if self.frames_per_clip < 2:
            raise ValueError(f"frames_per_clip is {self.frames_per_clip}; a pair needs 2")
        if self.pairs_per_clip < 1:
            raise ValueError(f"pairs_per_clip is {self.pairs_per_clip}; expected 1 or more")
        if self.min_gap < 0:
            raise ValueError(f"min_gap is {self.min_gap}; expected 0 or more seconds")


class ChosenPair(NamedTuple):
    """Two frames of a clip, earlier first."""

    first: Frame
    second: Frame
    similarity: float


class Selection(NamedTuple):
    """What became of a clip's frames."""

    pairs: list[ChosenPair]
    scores: list[float]
    """Similarity of every candidate, in the band or not: the histogram from which a band is chosen."""
    dropped: Counter[str]
    """Frames dropped, by reason."""
    reason: str | None
    """Why there is no pair; None where there is one."""


def structural_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean SSIM of two (H, W) grey frames, in [-1, 1].

    scikit-image's definition (uniform 7 x 7 window, sample covariance, border cropped), to 1e-6, at a tenth of its
    time. Raises ValueError where the shapes differ or a side is below the window's.
    """
    if first.shape != second.shape or min(first.shape) < WINDOW:
        raise ValueError(f"frames are {first.shape} and {second.shape}; expected one shape, sides of {WINDOW} or more")
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y, square_x, square_y, product = (
        cv2.blur(values, (WINDOW, WINDOW)) for values in (x, y, x * x, y * y, x * y)
    )
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    variance_x = unbiased * (square_x - mean_x * mean_x)
    variance_y = unbiased * (square_y - mean_y * mean_y)
    covariance = unbiased * (product - mean_x * mean_y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    border = WINDOW // 2
    return float(ratio[border:-border, border:-border].mean())


def sample_times(duration: float, config: PairConfig, generator: np.random.Generator) -> list[float]:
    """One random moment in each of `frames_per_clip` equal stretches of the clip, in seconds.

    The first 2 % and the last 4 % are left out: containers often promise a little more than they hold.
    """
    edges = np.linspace(0.02 * duration, 0.96 * duration, config.frames_per_clip + 1)
    return list(generator.uniform(edges[:-1], edges[1:]))


def select_pairs(frames: Sequence[Frame], config: PairConfig, generator: np.random.Generator) -> Selection:
    """Pairs of the given frames with a similarity in the band, at most `pairs_per_clip`, spread over the band."""
    kept, greys, dropped = _drop_poor_frames(frames, config)
    if len(kept) < 2:
        reason = dropped.most_common(1)[0][0] if dropped else "too_short"
        return Selection([], [], dropped, reason)
    candidates = [
        ChosenPair(kept[i], kept[j], structural_similarity(greys[i], greys[j]))
        for i, j in combinations(range(len(kept)), 2)
        if kept[j].time - kept[i].time >= config.min_gap
    ]
    scores = [pair.similarity for pair in candidates]
    inside = [pair for pair in candidates if config.ssim_low <= pair.similarity <= config.ssim_high]
    reason = None if inside else "no_pair_in_band" if candidates else "too_short"
    return Selection(_spread(inside, config, generator), scores, dropped, reason)


def _drop_poor_frames(frames: Sequence[Frame], config: PairConfig) -> tuple[list[Frame], list, Counter[str]]:
    kept: list[Frame] = []
    greys: list[NDArray[np.uint8]] = []
    dropped: Counter[str] = Counter()
    for frame in frames:
        grey = to_grey(frame.image, config.ssim_size)
        reason = _defect(grey, greys, config)
        if reason is None:
            kept.append(frame)
            greys.append(grey)
        else:
            dropped[reason] += 1
    return kept, greys, dropped


def _defect(grey: NDArray[np.uint8], earlier: list[NDArray[np.uint8]], config: PairConfig) -> str | None:
    if min(grey.shape) < WINDOW:
        return "too_small"
    if grey.mean() < config.min_brightness:
        return "near_black"
    if cv2.Laplacian(grey, cv2.CV_32F).var() < config.min_sharpness:
        return "blurred"
    if any(cv2.absdiff(grey, other).mean() < config.min_difference for other in earlier):
        return "near_duplicate"
    return None


def _spread(pairs: list[ChosenPair], config: PairConfig, generator: np.random.Generator) -> list[ChosenPair]:
    """At most `pairs_per_clip` of the pairs, in order of time: one from each part of the band, then any."""
    order = [pairs[index] for index in generator.permutation(len(pairs))]
    width = (config.ssim_high - config.ssim_low) / config.pairs_per_clip
    parts: dict[int, ChosenPair] = {}
    for pair in order:
        parts.setdefault(int((pair.similarity - config.ssim_low) / width), pair)
    first_picks = list(parts.values())
    taken = {(pair.first.time, pair.second.time) for pair in first_picks}
    rest = [pair for pair in order if (pair.first.time, pair.second.time) not in taken]
    chosen = (first_picks + rest)[: config.pairs_per_clip]
    return sorted(chosen, key=lambda pair: (pair.first.time, pair.second.time))
