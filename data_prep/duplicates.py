"""Near-duplicate clips: the same film under two names, encoded anew, scaled, or cut a little differently.

Each clip is described by perceptual hashes of its frames, half a second apart. Two clips are near-duplicates if most
frames of the shorter one look like a frame of the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

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
BAND_BITS = 16
NUM_BANDS = 4


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
    shown = {name: np.array([int(word, 16) for word in words], np.uint64) for name, words in hashes.items()}
    found: dict[str, NearDuplicate] = {}
    buckets: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, words in shown.items():
        if len(words) < MIN_HASHES:
            continue
        for other in _candidates(words, buckets):
            share = _share(words, shown[other])
            if share >= min_share:
                found[name] = NearDuplicate(other, round(share, 3))
                break
        else:
            for key in set(_quarters(words)):
                buckets[key].append(name)
    return found


def _candidates(words: np.ndarray, buckets: Mapping[tuple[int, int], list[str]]) -> list[str]:
    """Kept clips that share quarters with these hashes; the clip that shares most comes first."""
    shared = Counter(name for key in set(_quarters(words)) for name in buckets.get(key, ()))
    return [name for name, count in shared.most_common() if count >= MIN_HASHES]


def _quarters(words: np.ndarray) -> Iterator[tuple[int, int]]:
    for band in range(NUM_BANDS):
        for quarter in (words >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1):
            yield band, int(quarter)


def _share(words: np.ndarray, others: np.ndarray) -> float:
    """Share of the shorter clip's hashes that lie near a hash of the longer clip."""
    shorter, longer = (words, others) if len(words) <= len(others) else (others, words)
    differing = np.unpackbits((shorter[:, None] ^ longer[None]).view(np.uint8).reshape(len(shorter), -1, 8), axis=2)
    return float((differing.sum(axis=2).min(axis=1) <= MAX_DISTANCE).mean())
