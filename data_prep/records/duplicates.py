"""Near-duplicate clips: the same film under two names, encoded anew, scaled, or cut a little differently.

Each clip is described by perceptual hashes of its frames, half a second apart. Two clips are near-duplicates if most
frames of the shorter one look like a frame of the other. Photographs are described by hashes of their parts.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.pictures.perceptual_hash import MAX_DISTANCE, MIN_CONTRAST, perceptual_hash
from mimicbrush.video.decoded_clip import Thumbnail

STEP = 0.5
"""Seconds between two hashed frames."""
MAX_HASHES = 48
"""Largest number of hashes of a clip; longer clips are hashed at larger steps."""
MIN_HASHES = 3
"""Smallest number of hashed frames of a clip that is compared."""
NUM_QUARTERS = 4
NUMBER_TYPE = "i"
"""Type of the numbers of clips that have a quarter, for `array` and NumPy."""
NUM_COMPARED_FIRST, NUM_COMPARED = 4, 64
"""Number of clips that one is compared with at once. The first number is small, as a clip that repeats others usually
repeats the one with which it shares most quarters."""
MIN_DENSE = 0.25
"""Smallest number of quarters shared with earlier clips, for each of these clips, from which an array with a place for
every clip counts them faster than sorting."""


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
    return [perceptual_hash(thumbnails[i].luma) for i in chosen if thumbnails[i].luma.std() >= MIN_CONTRAST]


def find_near_duplicates(hashes: Mapping[str, Sequence[str]], min_share: float) -> dict[str, NearDuplicate]:
    """Find clips that repeat an earlier clip of the mapping, which is kept.

    min_share: smallest share of the shorter clip's hashed frames that must look like a frame of the other clip.
    Clips are compared only if quarters of their hashes (16 bits) are equal. Two hashes that differ in at most 3 bits
    always have an equal quarter, two that differ in 4 or 5 bits usually; and a clip has many hashes.
    """
    names = [name for name, words in hashes.items() if len(words) >= MIN_HASHES]
    clips = _HashedClips([np.array([int(word, 16) for word in hashes[name]], np.uint64) for name in names])
    found: dict[str, NearDuplicate] = {}
    for clip, name in enumerate(names):
        repeated = clips.find_repeated(clip, min_share)
        if repeated is None:
            clips.keep(clip)
        else:
            other, share = repeated
            found[name] = NearDuplicate(names[other], round(share, 3))
    return found


class _HashedClips:
    """Clips by number; those that are kept can be found by the quarters of their hashes."""

    def __init__(self, hashes: Sequence[NDArray[np.uint64]]) -> None:
        self.hashes = np.concatenate([np.empty(0, np.uint64), *hashes])
        self.lengths = np.array([len(words) for words in hashes], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.quarters, self.bounds = _list_quarters(self.hashes, self.lengths)
        self.kept_with: defaultdict[int, array] = defaultdict(partial(array, NUMBER_TYPE))
        """Numbers of the kept clips that have a quarter, by the quarter's place in the hash and its 16 bits."""

    def keep(self, clip: int) -> None:
        """Compare later clips with this one."""
        for quarter in self._quarters_of(clip):
            self.kept_with[quarter].append(clip)

    def find_repeated(self, clip: int, min_share: float) -> tuple[int, float] | None:
        """The kept clip that a clip repeats, and the share of the shorter one's hashes that are near.

        Of several, it is the one with which it shares most quarters.
        """
        others = self._that_share_quarters(clip)
        start, num = 0, NUM_COMPARED_FIRST
        while start < len(others):
            chosen = others[start : start + num]
            shares = self._shares(clip, chosen)
            enough = np.flatnonzero(shares >= min_share)
            if len(enough):
                return int(chosen[enough[0]]), float(shares[enough[0]])
            start, num = start + num, NUM_COMPARED
        return None

    def _quarters_of(self, clip: int) -> list[int]:
        return self.quarters[self.bounds[clip] : self.bounds[clip + 1]].tolist()

    def _that_share_quarters(self, clip: int) -> NDArray[np.int64]:
        """Kept clips that share at least MIN_HASHES quarters with a clip; first the one that shares most."""
        kept = np.frombuffer(b"".join(filter(None, map(self.kept_with.get, self._quarters_of(clip)))), NUMBER_TYPE)
        if len(kept) < MIN_DENSE * clip:
            others, num_shared = np.unique(kept, return_counts=True)
        else:
            num_shared = np.bincount(kept)
            others = np.arange(len(num_shared))
        is_enough = num_shared >= MIN_HASHES
        others, num_shared = others[is_enough], num_shared[is_enough]
        return others[np.lexsort((others, -num_shared))]

    def _shares(self, clip: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """For each other clip, the share of the shorter clip's hashes that lie near a hash of the longer one."""
        words = self.hashes[self.starts[clip] :][: self.lengths[clip]]
        lengths = self.lengths[others]
        firsts = np.cumsum(lengths) - lengths
        places = np.repeat(self.starts[others] - firsts, lengths) + np.arange(lengths.sum())
        is_near = np.bitwise_count(words[:, None] ^ self.hashes[places]) <= MAX_DISTANCE
        num_own = np.logical_or.reduceat(is_near, firsts, axis=1).sum(axis=0)
        num_theirs = np.add.reduceat(is_near.any(axis=0), firsts, dtype=np.int64)
        return np.where(len(words) <= lengths, num_own / len(words), num_theirs / lengths)


def _list_quarters(hashes: NDArray[np.uint64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """The quarters of all clips' hashes, each once for a clip, and where those of each clip begin and end.

    A quarter is a number: its place in the hash, and its 16 bits.
    """
    values = hashes.view(np.uint16).reshape(-1, NUM_QUARTERS) + (np.arange(NUM_QUARTERS) << 16)
    both = np.sort((np.repeat(np.arange(len(lengths)), lengths)[:, None] * (NUM_QUARTERS << 16) + values).ravel())
    clips, quarters = np.divmod(both[np.diff(both, prepend=-1) > 0], NUM_QUARTERS << 16)
    return quarters, clips.searchsorted(np.arange(len(lengths) + 1))
