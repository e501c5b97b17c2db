"""Stills with object masks (SA-1B) to training shards: pseudo-pairs, the stills themselves, and a report.

    python data_prep/shard_sam.py --stills DIR --output runs/shards/stills

The same command goes on after an interruption and takes up stills that were added.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if not __package__:  # run as a script, whose own folder comes first on the path; the packages lie one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from data_prep.images import encode_jpeg, encode_mask, shrink, to_grey
from data_prep.inputs import UnreadableInput
from data_prep.pairs import structural_similarity
from data_prep.report import write_report
from data_prep.run import KEPT, claim_output, make_shard, plan_units, read_metadata, run_tasks, seed_for, slug
from data_prep.stills import MaskConfig, Still, StillFiles, list_stills, read_still
from data_prep.summary import final_line, histogram, summarise
from data_prep.warp import WarpConfig, draw_warp, follow_points, warp_image, warp_mask
from mimicbrush.config import parse_config
from mimicbrush.data.shards import FramePair
from mimicbrush.errors import run_command

ROOT = Path(__file__).resolve().parents[1]
SIMILARITY_SIZE = 256
MIN_SIDE = 32
"""Smaller stills are icons."""
MIN_WARPED_AREA = 0.01
"""Least share of a pseudo-pair's source that a mask covers; smaller ones were warped out of the picture."""
MAX_DRAWS = 10


@dataclass(frozen=True, kw_only=True)
class SamShardConfig:
    """Make shards of stills and pseudo-pairs from SA-1B."""

    stills: Path
    """A tar of SA-1B, or a folder with tars or with pictures and JSON files at any depth."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """A CSV with a column `file` (the still's name without suffix) and any of group, licence, url."""
    short_side: int = 576
    """Stills are scaled down to this short side, never up."""
    pairs_per_still: int = 1
    """Pseudo-pairs stored of each still, beside the still itself, of which batches draw anew."""
    masks: MaskConfig = field(default_factory=MaskConfig)
    """Which object masks are used."""
    warp: WarpConfig = field(default_factory=WarpConfig)
    """How strongly the two pictures of a pseudo-pair are altered."""
    stills_per_shard: int = 500
    """Stills in one unit of work, which becomes one shard."""
    seed: int = 0
    """Decides masks and augmentations."""
    workers: int = 0
    """Processes; 0: one per usable core. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("short_side", "stills_per_shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("workers", "pairs_per_still"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")


def shard_sam(config: SamShardConfig) -> dict:
    """Shard what is not yet sharded; returns the summary. Raises UserError for a mistake or if nothing is kept."""
    started = time.monotonic()
    stills = list_stills(config.stills)
    metadata = read_metadata(config.metadata, stills)
    claim_output(config.output, config, free=("output", "workers"))
    sizes = {name: files.size for name, files in stills.items()}
    units = plan_units(config.output, "stills", sizes, config.stills_per_shard)
    read = partial(read_samples_of_still, stills=stills, metadata=metadata, config=config)
    work = partial(make_shard, read=read, sizes=sizes)
    run_tasks(units, work, workers=config.workers, noun="still", size=lambda unit: len(unit.names))
    summary = summarise(
        config.output,
        noun="stills",
        inputs=stills,
        band=None,
        new=sum(len(unit.names) for unit in units),
        seconds=time.monotonic() - started,
    )
    write_report(config.output)
    return summary


def read_samples_of_still(
    name: str, *, stills: dict[str, StillFiles], metadata: dict[str, dict], config: SamShardConfig
) -> tuple[list[FramePair], dict]:
    """The still itself and its pseudo-pairs, and what to note of it; raises UnreadableInput."""
    generator = seed_for(config.seed, name)
    still = read_still(stills[name], config.masks, generator)
    if min(still.image.shape[:2]) < MIN_SIDE:
        raise UnreadableInput("too_small", f"{still.image.shape[1]} x {still.image.shape[0]} pixels")
    given = {**still.facts, **metadata.get(name, {})}
    origin = {"group": name, **given, "file": name, "still_size": list(still.image.shape[1::-1])}
    still = _shrunk(still, config.short_side)
    origin["size"] = list(still.image.shape[1::-1])
    itself = FramePair(
        key=f"{slug(name)}-still",
        source=encode_jpeg(still.image),
        reference=None,
        similarity=None,
        masks=[encode_mask(mask) for mask in still.masks],
        origin=origin,
    )
    draws = (
        _pseudo_pair(still, f"{slug(name)}-pair{i}", origin, config, generator) for i in range(config.pairs_per_still)
    )
    pairs = [pair for pair in draws if pair is not None]
    record = {"status": KEPT, "detail": "", "similarity": histogram(pair.similarity for pair in pairs)}
    return [itself, *pairs], record


def _shrunk(still: Still, short_side: int) -> Still:
    """The still at its stored size; masks too small to survive are left out."""
    masks = [shrink(mask.astype(np.uint8) * 255, short_side) > 127 for mask in still.masks]
    return Still(shrink(still.image, short_side), [mask for mask in masks if mask.any()], still.facts)


def _pseudo_pair(
    still: Still, key: str, origin: dict, config: SamShardConfig, generator: np.random.Generator
) -> FramePair | None:
    """Two augmentations of a still, masks warped with the source; None where ten draws lose every mask."""
    height, width = still.image.shape[:2]
    for _ in range(MAX_DRAWS):
        draws = [draw_warp(height, width, config.warp, generator) for _ in range(2)]
        masks = [mask for mask in (warp_mask(mask, draws[0]) for mask in still.masks) if mask.mean() >= MIN_WARPED_AREA]
        if masks:
            source, reference = (warp_image(still.image, draw) for draw in draws)
            return FramePair(
                key=key,
                source=encode_jpeg(source),
                reference=encode_jpeg(reference),
                similarity=round(_similarity(source, reference), 6),
                keypoints=follow_points(still.image, draws),
                masks=[encode_mask(mask) for mask in masks],
                origin=origin,
            )
    return None


def _similarity(source: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    return structural_similarity(to_grey(source, SIMILARITY_SIZE), to_grey(reference, SIMILARITY_SIZE))


def main() -> None:
    config = parse_config(SamShardConfig, default=ROOT / "configs/data/sam.yaml")
    print(final_line(shard_sam(config), config.output))


if __name__ == "__main__":
    run_command(main)
