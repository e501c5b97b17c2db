"""Inner-ID from held-out pairs of training: the masked frame is the truth, the other one the reference."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.data.batch import mask_pairs
from mimicbrush.data.datamodule import heldout_pairs
from mimicbrush.data.decode import collate, decode_pair
from mimicbrush.data.masking import MaskConfig
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair
from mimicbrush.evaluation.benchmark import MASK, REFERENCE, SOURCE, BenchmarkSet, list_samples
from mimicbrush.evaluation.build.collection import write_png
from mimicbrush.evaluation.build.contact_sheet import write_contact_sheet
from mimicbrush.evaluation.build.triplets import Account, Triplet, claim_set, write_texts
from mimicbrush.evaluation.faults import find_faults, refuse_faults
from mimicbrush.files import digest
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.geometry import Placement


@dataclass(frozen=True, kw_only=True)
class HeldoutSetConfig:
    """Triplets of pairs that training never saw, with masks drawn for them."""

    shards: list[Path]
    """Folders of shards written by data_prep, of clips and of stills with stored pseudo-pairs."""
    output: Path
    """Folder of the set."""
    num_pairs: int = 64
    """Pairs of each folder, spread evenly over clips and photographs."""
    size: int = 512
    """Pixels of the pictures' longer side."""
    mask: MaskConfig = field(default_factory=lambda: MaskConfig(grid_share=0, box_share=1, brush_share=1))
    """What is hidden: by default one part, a box or brush strokes, as in an edit; stills have their segments."""
    seed: int = 0
    """Of the masks."""

    def __post_init__(self) -> None:
        if not self.shards or self.num_pairs < 2:
            raise ValueError(f"shards is {self.shards}, num_pairs {self.num_pairs}; expected one folder, two pairs")


def build_heldout(config: HeldoutSetConfig) -> None:
    """Build the set. Raises UserError where a folder holds too few pairs, or a picture is damaged."""
    claim_set(config.output, config, [digest(list_shards(folder)) for folder in config.shards])
    pairs = [pair for folder in config.shards for pair in heldout_pairs(folder, config.num_pairs)]
    rng, generator = random.Random(config.seed), torch.Generator().manual_seed(config.seed)
    account = Account(wanted=len(pairs), tried=2 * len(pairs))
    for number, pair in enumerate(pairs):
        account.triplets.append(_write(f"{number:03d}", pair, config, rng, generator))
    write_texts(account, config.output)
    benchmark = BenchmarkSet(folder=config.output, task="parts", track="inner_id")
    refuse_faults({str(config.output): find_faults(benchmark, frozenset())})
    advice = "If not: build again with other settings of mask, or another seed."
    sheet = write_contact_sheet(account, list_samples(benchmark), config.output, advice=advice)
    num_groups = len({triplet.group for triplet in account.triplets})
    print(f"held-out pairs: {len(pairs)} triplets of {num_groups} groups -> {config.output}; look them over: {sheet}")


def _write(
    name: str, pair: FramePair, config: HeldoutSetConfig, rng: random.Random, generator: torch.Generator
) -> Triplet:
    square = collate([decode_pair(pair, config.size, rng)])
    hidden = mask_pairs(square, config.mask, generator)
    (source_box,), (reference_box,) = square.source_box, square.reference_box
    pictures = {
        SOURCE: _unpad(hidden.source, source_box),
        MASK: _unpad(hidden.mask, source_box),
        REFERENCE: _unpad(hidden.reference, reference_box),
    }
    for suffix, picture in pictures.items():
        write_png(to_pil(picture), config.output / f"{name}{suffix}")
    origin = {"file": pair.key, **pair.origin}
    return Triplet(id=name, group=str(pair.origin.get("group", pair.key)), prompt=None, source=origin, reference=origin)


def _unpad(square: Tensor, box: Placement) -> Tensor:
    """(1, C, S, S) -> (C, box.height, box.width)."""
    return square[0, :, box.top : box.top + box.height, box.left : box.left + box.width]
