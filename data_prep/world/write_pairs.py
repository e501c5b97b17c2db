"""Write shards of pairs for training MimicBrush: exact masks, and points that match exactly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_prep.frames.images import to_grey
from data_prep.frames.ssim import structural_similarity
from mimicbrush.data.shard_index import index_path
from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.pictures.writing import encode_png
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.matched_points import matched_points
from mimicbrush.world.renderer.render import render
from mimicbrush.world.sets.draw_pairs import PairKind, draw_pair
from mimicbrush.world.sets.edits import MARGIN, to_8_bits

PAIRS_PER_SHARD = 250
NUM_POINTS = 96
"""Matched points that are stored of each pair; a batch draws some of them."""


class PairShard(NamedTuple):
    """The pairs of one kind whose numbers lie in [first, last), which form a shard."""

    folder: Path
    kind: PairKind
    first: int
    last: int

    @property
    def path(self) -> Path:
        """Path of the shard."""
        return self.folder / self.kind / f"pairs-{self.first // PAIRS_PER_SHARD:06d}.tar"

    @property
    def is_written(self) -> bool:
        """Whether the shard is complete."""
        return index_path(self.path).is_file()


def plan_shards(folder: Path, kind: PairKind, num: int) -> list[PairShard]:
    """Divide pairs of a kind into shards."""
    return [
        PairShard(folder, kind, first, min(first + PAIRS_PER_SHARD, num)) for first in range(0, num, PAIRS_PER_SHARD)
    ]


def write_pair_shard(shard: PairShard, *, size: int, seed: int) -> int:
    """Render the pairs of a shard and write it; returns their number."""
    shard.path.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(shard.first, shard.last)
    write_shard(shard.path, (_render_pair(shard.kind, number, size, seed) for number in numbers), inputs={})
    return len(numbers)


def _render_pair(kind: PairKind, number: int, size: int, seed: int) -> FramePair:
    """Render a pair; the mask is the region that an edit of the source's object may change, as in evaluation sets."""
    drawn = draw_pair(kind, number, seed=seed)
    source, reference = (render(scene, size) for scene in (drawn.source, drawn.reference))
    pictures = [to_8_bits(each.picture) for each in (source, reference)]
    generator = np.random.default_rng(seed_of(seed, "matched points", kind, number))
    points = matched_points(drawn.source, drawn.reference, size, num=NUM_POINTS, generator=generator)
    key = f"{kind}-{number:06d}"
    return FramePair(
        key=key,
        source=encode_png(pictures[0]),
        reference=encode_png(pictures[1]),
        similarity=round(structural_similarity(*(to_grey(picture, size) for picture in pictures)), 6),
        keypoints=[tuple(point) for point in points.round(5).tolist()],
        masks=[encode_png(grow(source.mask > 0, MARGIN))],
        origin={"group": key, "size": [size, size], "object": drawn.combination.object}
        | {"material": drawn.combination.material, "reference_object": drawn.reference.subject.silhouette},
    )
