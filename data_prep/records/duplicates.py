"""Near-duplicate clips: the same film under two names, encoded anew, scaled, or cut a little differently.

Each clip is described by perceptual hashes of its frames, half a second apart. Two clips are near-duplicates if most
frames of the shorter one look like a frame of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.video.decoded_clip import Thumbnail

STEP = 0.5
"""Seconds between two hashed frames."""
MAX_HASHES = 48
"""Largest number of hashes of a clip; longer clips are hashed at larger steps."""
MIN_CONTRAST = 6.0
"""Smallest standard deviation of a hashed frame, in grey levels; flatter frames all look alike."""
MAX_DISTANCE = 5
"""Largest number of bits, of 64, by which two hashes of one picture may differ."""
MIN_HASHES = 3
"""Smallest number of hashed frames of a clip that is compared."""
NUM_QUARTERS = 4
MAX_SHARED = 4_000_000
"""Number of quarters that clips share with earlier ones that are counted at once, which bounds the memory."""


class NearDuplicate(NamedTuple):
    """A clip that repeats another."""

    of: str
    """Name of the clip that it repeats, which is kept."""
    share: float
    """Share of the shorter clip's hashed frames that look like a frame of the other clip."""


def hash_thumbnails(thumbnails: Sequence[Thumbnail]) -> list[str]:
    """Perceptual hashes, 16 hexadecimal digits each, of the frames nearest to every half second of a clip."""
    if not thumbnails:
        return []
    times = np.array([thumbnail.time for thumbnail in thumbnails])
    moments = np.arange(0, times[-1] + STEP / 2, STEP)
    nearest = {int(np.abs(times - moment).argmin()): moment for moment in moments}
    close = [i for i, moment in nearest.items() if abs(times[i] - moment) <= STEP / 2]
    chosen = close[:: -(-len(close) // MAX_HASHES) or 1]
    return [perceptual_hash(thumbnails[i]) for i in chosen if thumbnails[i].luma.std() >= MIN_CONTRAST]


def perceptual_hash(thumbnail: Thumbnail) -> str:
    """Hash a thumbnail as pHash does: a bit for each of the 64 lowest frequencies, 1 if it lies above their median."""
    square = cv2.resize(thumbnail.luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = cv2.dct(square)[:8, :8].ravel()
    bits = lowest > np.median(lowest[1:])
    return np.packbits(bits).tobytes().hex()


def find_near_duplicates(hashes: Mapping[str, Sequence[str]], min_share: float) -> dict[str, NearDuplicate]:
    """Find clips that repeat an earlier clip of the mapping, which is kept.

    min_share: smallest share of the shorter clip's hashed frames that must look like a frame of the other clip.
    Clips are compared only if quarters of their hashes (16 bits) are equal. Two hashes that differ in at most 3 bits
    always have an equal quarter, two that differ in 4 or 5 bits usually; and a clip has many hashes.
    """
    names = [name for name, words in hashes.items() if len(words) >= MIN_HASHES]
    shown = [np.array([int(word, 16) for word in hashes[name]], np.uint64) for name in names]
    found: dict[str, NearDuplicate] = {}
    is_repeat = np.zeros(len(names), bool)
    quarters, start = _list_quarters(shown), 0
    while start < len(names):
        end, candidates = _find_candidates(quarters, start, len(names))
        for clip, other in candidates:
            if is_repeat[clip] or is_repeat[other]:
                continue
            share = _share(shown[clip], shown[other])
            if share >= min_share:
                found[names[clip]] = NearDuplicate(names[other], round(share, 3))
                is_repeat[clip] = True
        if is_repeat[start:end].any():
            is_kept = ~is_repeat[quarters.clips]
            quarters = _Quarters(quarters.values[is_kept], quarters.clips[is_kept])
        start = end
    return found


class _Quarters(NamedTuple):
    """The quarters of all clips' hashes, each once for a clip, by value and then by clip."""

    values: NDArray[np.int64]
    """(N,) place in the hash, and its 16 bits."""
    clips: NDArray[np.int64]
    """(N,) number of the clip."""


def _list_quarters(shown: Sequence[NDArray[np.uint64]]) -> _Quarters:
    if not shown:
        return _Quarters(np.empty(0, np.int64), np.empty(0, np.int64))
    words = np.concatenate(shown)
    clips = np.repeat(np.arange(len(shown)), [len(words) for words in shown])
    values = words.view(np.uint16).reshape(-1, NUM_QUARTERS) + (np.arange(NUM_QUARTERS) << 16)
    both = np.sort(values * len(shown) + clips[:, None], axis=None)
    return _Quarters(*np.divmod(both[np.diff(both, prepend=-1) > 0], len(shown)))


def _find_candidates(quarters: _Quarters, start: int, num_clips: int) -> tuple[int, list[tuple[int, int]]]:
    """Find the earlier clips that share quarters with the clips from `start` on, as many clips as memory allows.

    Gives the number of the first clip that is left for the next call, and pairs of a clip and an earlier one: in order
    of clips, and for each clip the one first that shares most.
    """
    values, clips = quarters
    places = np.arange(len(values))
    is_first = np.diff(values, prepend=-1) > 0
    first = np.maximum.accumulate(np.where(is_first, places, 0))
    num_earlier = places - first
    total = np.cumsum(np.bincount(clips, num_earlier, minlength=num_clips)[start:])
    end = start + max(1, int(total.searchsorted(MAX_SHARED, side="right")))
    chosen = np.flatnonzero((clips >= start) & (clips < end))
    num = num_earlier[chosen]
    others = clips[np.repeat(first[chosen] - np.cumsum(num) + num, num) + np.arange(num.sum())]
    pairs, num_shared = np.unique(np.repeat(clips[chosen], num) * num_clips + others, return_counts=True)
    is_enough = num_shared >= MIN_HASHES
    clip, other = np.divmod(pairs[is_enough], num_clips)
    order = np.lexsort((other, -num_shared[is_enough], clip))
    return end, list(zip(clip[order].tolist(), other[order].tolist(), strict=True))


def _share(words: NDArray[np.uint64], others: NDArray[np.uint64]) -> float:
    """Share of the shorter clip's hashes that lie near a hash of the longer clip."""
    shorter, longer = (words, others) if len(words) <= len(others) else (others, words)
    differing = np.bitwise_count(shorter[:, None] ^ longer)
    return np.count_nonzero(differing.min(axis=1) <= MAX_DISTANCE) / len(shorter)
