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
"""Of a clip; a longer one is hashed at greater steps."""
MIN_CONTRAST = 6.0
"""Grey levels of standard deviation; a flatter frame looks like any other flat one."""
MAX_DISTANCE = 5
"""Of 64 bits, in which two hashes of one picture may differ."""
MIN_HASHES = 3
"""Clips of fewer hashed frames are not judged."""
BAND_BITS = 16
NUM_BANDS = 4


class NearDuplicate(NamedTuple):
    """A clip that repeats another."""

    of: str
    """The one that is kept."""
    share: float
    """Of the shorter clip's hashed frames that look like one of the other's."""


def hash_thumbnails(thumbnails: Sequence[Thumbnail]) -> list[str]:
    """Perceptual hashes (16 hexadecimal digits each) of a clip's frames nearest to every half second."""
    if not thumbnails:
        return []
    times = np.array([thumbnail.time for thumbnail in thumbnails])
    moments = np.arange(0, times[-1] + STEP / 2, STEP)
    nearest = {int(np.abs(times - moment).argmin()): moment for moment in moments}
    close = [i for i, moment in nearest.items() if abs(times[i] - moment) <= STEP / 2]
    chosen = close[:: -(-len(close) // MAX_HASHES) or 1]
    return [perceptual_hash(thumbnails[i]) for i in chosen if thumbnails[i].luma.std() >= MIN_CONTRAST]


def perceptual_hash(thumbnail: Thumbnail) -> str:
    """Which of the 64 lowest frequencies lie above their median: the usual pHash."""
    square = cv2.resize(thumbnail.luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = cv2.dct(square)[:8, :8].ravel()
    bits = lowest > np.median(lowest[1:])
    return np.packbits(bits).tobytes().hex()


def find_near_duplicates(hashes: Mapping[str, Sequence[str]], min_share: float) -> dict[str, NearDuplicate]:
    """Clips that repeat an earlier one of the mapping, in whose order the first is the one to keep.

    min_share: of the shorter clip's frames that must look like one of the other's.
    Hashes are compared only where one of their four 16-bit quarters is equal: of two that differ in 3 bits or fewer
    that is certain, of 4 or 5 likely; a clip has many.
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
    """Kept clips that share quarters with these hashes, those that share most first."""
    shared = Counter(name for key in set(_quarters(words)) for name in buckets.get(key, ()))
    return [name for name, count in shared.most_common() if count >= MIN_HASHES]


def _quarters(words: np.ndarray) -> Iterator[tuple[int, int]]:
    for band in range(NUM_BANDS):
        for quarter in (words >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1):
            yield band, int(quarter)


def _share(words: np.ndarray, others: np.ndarray) -> float:
    """Of the shorter clip's hashes that have one of the other's near."""
    shorter, longer = (words, others) if len(words) <= len(others) else (others, words)
    differing = np.unpackbits((shorter[:, None] ^ longer[None]).view(np.uint8).reshape(len(shorter), -1, 8), axis=2)
    return float((differing.sum(axis=2).min(axis=1) <= MAX_DISTANCE).mean())
