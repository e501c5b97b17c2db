"""Candidates for triplets: pairs of photographs, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from mimicbrush.seeds import seed_of_draw

T = TypeVar("T")


class Candidate(NamedTuple):
    """Two photographs, named by their paths in their collections, that may become a triplet."""

    source: str
    reference: str
    group: str
    """Triplets of one group are not independent."""
    prompt: str | None = None


class Quota(NamedTuple):
    """A number of triplets to take from candidates: the first usable ones."""

    name: str
    wanted: int
    candidates: Iterable[Candidate]


def crossed(sources: Sequence[T], references: Sequence[T]) -> Iterator[tuple[T, T]]:
    """Yield every pair; those that repeat no source and, if possible, no reference come first."""
    for shift in range(len(references)):
        for place, source in enumerate(sources):
            yield source, references[(place + shift) % len(references)]


def shuffled(items: Iterable[T], seed: int, name: str) -> list[T]:
    """Shuffle items in an order that depends only on the seed and the name."""
    listed = sorted(items)
    return [listed[place] for place in np.random.default_rng(seed_of_draw(seed, name)).permutation(len(listed))]
