"""The order of samples: a pure function of the seed, so that a run resumes exactly where it stopped.

All ranks and workers share one endless order of positions 0, 1, 2, ... The sample at a position is found without going
through earlier positions, so the position is all that a checkpoint stores.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mimicbrush.seeds import first_order_seeds, seed_of

CHUNK = 4096
"""Number of positions whose sources are drawn together."""
ORDER_VERSION = 2
"""Version of the order of samples; a run resumes with the version that its checkpoint names."""


class Streams(NamedTuple):
    """The random streams of one order, an independent one for each purpose and its numbers.

    Runs that started with version 1 keep it. In version 1 two streams can be equal: NumPy pads [seed, 0, 1] with zeros,
    so the sources of chunk 1 are drawn from the same numbers as [seed, 0, 1, 0], the shards of the first pass.
    """

    seed: int
    version: int = ORDER_VERSION

    def of_sources(self, chunk: int) -> np.random.Generator:
        """Stream that draws the source of each position of a chunk."""
        return self._generator("sources", [0, chunk], chunk)

    def of_shards(self, source: int, number: int) -> np.random.Generator:
        """Stream that draws the order of a source's shards in a pass."""
        return self._generator("shards", [source, 1, number], source, number)

    def of_samples(self, source: int, number: int, window: int) -> np.random.Generator:
        """Stream that draws the order of the samples in a window of a source's pass."""
        return self._generator("samples", [source, 2, number, window], source, number, window)

    def _generator(self, purpose: str, first_version: list[int], *numbers: int) -> np.random.Generator:
        if self.version == 1:
            return np.random.default_rng(first_order_seeds(self.seed, *first_version))
        return np.random.default_rng(seed_of(self.seed, "order", purpose, *numbers))


class SamplePlace(NamedTuple):
    """Position of a sample: numbers of its source, shard, and place in the shard."""

    source: int
    shard: int
    sample: int


class SourceOrder:
    """Endless passes over one source; each pass visits every sample once, in its own random order.

    samples: for each shard the numbers of its usable samples. window: shards are taken in random order and collected
    until they hold this many samples, which are then shuffled together; so only a few shards are read at a time.
    number: the source's index in the mixture.
    """

    def __init__(self, samples: Sequence[np.ndarray], *, window: int, streams: Streams, number: int = 0) -> None:
        self.samples = samples
        self.window = window
        self.streams = streams
        self.number = number
        self.num_samples = sum(map(len, samples))
        self._starts_of_pass = lru_cache(maxsize=2)(self._draw_pass)
        self._window_of_pass = lru_cache(maxsize=2)(self._draw_window)

    def __getitem__(self, turn: int) -> tuple[int, int]:
        """The shard and sample of this turn; turns count through all passes."""
        number, place = divmod(turn, self.num_samples)
        _, starts = self._starts_of_pass(number)
        window = bisect_right(starts, place) - 1
        return self._window_of_pass(number, window)[place - starts[window]]

    def __getstate__(self) -> dict:
        return {name: vars(self)[name] for name in ("samples", "window", "streams", "number")}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def _draw_pass(self, number: int) -> tuple[list[list[int]], list[int]]:
        """The shards of each window of a pass, and the place in the pass at which each window starts."""
        windows, starts, held = [], [], self.window
        place = 0
        for shard in self.streams.of_shards(self.number, number).permutation(len(self.samples)).tolist():
            if held >= self.window:
                windows.append([])
                starts.append(place)
                held = 0
            windows[-1].append(shard)
            held += len(self.samples[shard])
            place += len(self.samples[shard])
        return windows, starts

    def _draw_window(self, number: int, window: int) -> list[tuple[int, int]]:
        windows, _ = self._starts_of_pass(number)
        held = [(shard, sample) for shard in windows[window] for sample in self.samples[shard].tolist()]
        drawn = self.streams.of_samples(self.number, number, window).permutation(len(held))
        return [held[place] for place in drawn.tolist()]


class MixtureOrder:
    """The order of all samples: each position draws a source by the weights, and takes the source's next sample."""

    def __init__(self, sources: Sequence[SourceOrder], weights: Sequence[float], *, streams: Streams) -> None:
        self.sources = sources
        self.share = np.asarray(weights, dtype=np.float64) / sum(weights)
        self.streams = streams
        self._turns_before = np.zeros((1, len(sources)), dtype=np.int64)
        self._draws_of_chunk = lru_cache(maxsize=2)(self._draw_chunk)

    def __getitem__(self, position: int) -> SamplePlace:
        chunk, place = divmod(position, CHUNK)
        source = int(self._draws_of_chunk(chunk)[place])
        return SamplePlace(source, *self.sources[source][self._turn(chunk, place, source)])

    def __getstate__(self) -> dict:
        return {"sources": self.sources, "weights": self.share.tolist(), "streams": self.streams}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def turns(self, position: int) -> list[int]:
        """Number of samples of each source before this position."""
        chunk, place = divmod(position, CHUNK)
        return [self._turn(chunk, place, source) for source in range(len(self.sources))]

    def _turn(self, chunk: int, place: int, source: int) -> int:
        return int(self._turns_before_chunk(chunk)[source] + (self._draws_of_chunk(chunk)[:place] == source).sum())

    def _turns_before_chunk(self, chunk: int) -> np.ndarray:
        known = len(self._turns_before)
        if chunk >= known:
            drawn = [self._count(number) for number in range(known - 1, chunk)]
            further = self._turns_before[-1] + np.cumsum(drawn, axis=0)
            self._turns_before = np.concatenate([self._turns_before, further])
        return self._turns_before[chunk]

    def _count(self, chunk: int) -> np.ndarray:
        return np.bincount(self._draw_chunk(chunk), minlength=len(self.sources))

    def _draw_chunk(self, chunk: int) -> np.ndarray:
        return self.streams.of_sources(chunk).choice(len(self.sources), size=CHUNK, p=self.share).astype(np.int32)
