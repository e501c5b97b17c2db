"""The command `overlap`: pictures of benchmark sets that training shards also hold, found by perceptual hashes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.benchmark_layout import REFERENCE, SOURCE, TRUTH, find_pictures, part_of
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair, read_pairs
from mimicbrush.errors import UserError, some_of, spaced
from mimicbrush.evaluation.build.check import set_folders
from mimicbrush.evaluation.build.config import OverlapConfig
from mimicbrush.pictures.conversion import rgb_bytes, to_pil
from mimicbrush.pictures.decoding import EncodedPicture, decode_frames
from mimicbrush.pictures.headers import UnreadablePictureError
from mimicbrush.pictures.perceptual_hash import MAX_DISTANCE, distance, hash_parts
from mimicbrush.progress import progress_bar

COMPARED = (SOURCE, REFERENCE, TRUTH)
"""Pictures of a sample that training must not have seen; of a clip, its first frame."""
ENOUGH = (64, 64)
"""Width and height that suffice for a hash; a JPEG is decoded no larger than it must be."""
MIN_SHARE = 0.75
"""Smallest share of the quarters that must look alike, besides the whole."""


class HashedPicture(NamedTuple):
    """A picture of a benchmark set, as it is or mirrored."""

    name: str
    parts: list[str | None]
    """Hashes of the whole and of its quarters; None for those without contrast."""


def find_overlap(config: OverlapConfig) -> None:
    """Look for pictures of the sets in the shards; raises UserError that names each one found and its likeness.

    Copies that were scaled, encoded anew or mirrored are found; crops and other photographs of one scene are not.
    """
    hashed = list(_hash_sets(config.folder))
    pictures = [picture for picture in hashed if picture.parts[0] is not None]
    plain = sorted({picture.name for picture in hashed if picture.parts[0] is None})
    if not pictures:
        raise UserError(f"{config.folder}: holds no pictures of a benchmark set that could be compared")
    wholes = np.array([int(picture.parts[0], 16) for picture in pictures], np.uint64)
    found: dict[str, list[str]] = defaultdict(list)
    num_samples = 0
    for folder in config.shards:
        for sample in progress_bar(read_pairs(list_shards(folder)), desc=str(folder), unit="sample"):
            num_samples += 1
            for name in _like(sample, pictures, wholes):
                found[name].append(f"{sample.origin.get('file', sample.key)} in {folder}")
    if found:
        lines = [f"{name} looks like {some_of(list(dict.fromkeys(places)))}" for name, places in sorted(found.items())]
        lines[-1] += "; leave these out of the benchmark, or their inputs out of the shards (excluded.json)"
        raise UserError(*lines)
    if plain:
        print(f"{len(plain)} pictures were not compared, because they show hardly any detail: {some_of(plain)}")
    num = len({picture.name for picture in pictures})
    print(f"none of {num} pictures in {config.folder} looks like a picture of {spaced(num_samples)} training samples")


def _hash_sets(folder: Path) -> Iterator[HashedPicture]:
    """Hash all pictures of the sets below a folder, also mirrored, as training flips what it sees."""
    for one in set_folders(folder):
        for parts in find_pictures(one, COMPARED).values():
            for path in [files[0] for part in map(part_of, COMPARED) if (files := parts.get(part))]:
                luma = _luma(rgb_bytes(decode_frames(path)[0]))
                for view in (luma, np.ascontiguousarray(luma[:, ::-1])):
                    yield HashedPicture(str(path.relative_to(folder)), hash_parts(view))


def _like(sample: FramePair, pictures: Sequence[HashedPicture], wholes: NDArray[np.uint64]) -> Iterator[str]:
    """Names of the benchmark's pictures that look like a picture of a training sample."""
    for encoded in filter(None, (sample.source, sample.reference)):
        try:
            levels = EncodedPicture(encoded).decode(at_least=ENOUGH)
        except UnreadablePictureError:
            continue  # training skips it, and names it
        parts = hash_parts(_luma(rgb_bytes(levels)))
        if parts[0] is None:
            continue
        near = np.flatnonzero(np.bitwise_count(wholes ^ np.uint64(int(parts[0], 16))) <= MAX_DISTANCE)
        yield from (pictures[place].name for place in near if _quarters_are_alike(pictures[place].parts, parts))


def _quarters_are_alike(first: Sequence[str | None], second: Sequence[str | None]) -> bool:
    both = [(one, other) for one, other in zip(first[1:], second[1:], strict=True) if one and other]
    alike = sum(distance(one, other) <= MAX_DISTANCE for one, other in both)
    return alike >= MIN_SHARE * len(both)


def _luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(to_pil(image).convert("L"))
