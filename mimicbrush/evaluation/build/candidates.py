"""Which photographs may become triplets, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from mimicbrush.seeds import seed_of_draw

T = TypeVar("T")


class Candidate(NamedTuple):
    """Two photographs, by their paths in their collections, that may become a triplet."""

    source: str
    reference: str
    group: str
    """Triplets of one group are not independent."""
    prompt: str | None = None


class Quota(NamedTuple):
    """So many triplets are taken from these candidates, the first that are usable."""

    name: str
    wanted: int
    candidates: Iterable[Candidate]


def crossed(sources: Sequence[T], references: Sequence[T]) -> Iterator[tuple[T, T]]:
    """Every pair, those first that repeat no source and, as long as that is possible, no reference."""
    for shift in range(len(references)):
        for place, source in enumerate(sources):
            yield source, references[(place + shift) % len(references)]


def shuffled(items: Iterable[T], seed: int, name: str) -> list[T]:
    """In an order that depends on the seed and the name alone, not on what else is drawn."""
    listed = sorted(items)
    return [listed[place] for place in np.random.default_rng(seed_of_draw(seed, name)).permutation(len(listed))]
