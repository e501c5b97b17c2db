"""Builds an inner-ID set from held-out pairs of training: one frame is source and truth, the other the reference."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from mimicbrush.benchmark_layout import MASK, REFERENCE, SOURCE
from mimicbrush.data.batch import mask_pairs
from mimicbrush.data.datamodule import heldout_pairs
from mimicbrush.data.decode import collate, decode_pair
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.collection import write_once
from mimicbrush.evaluation.build.config import HeldoutSetConfig
from mimicbrush.evaluation.build.triplet_page import write_contact_sheet
from mimicbrush.evaluation.build.triplets import BuildSummary, TripletRecord, claimed, write_texts
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults
from mimicbrush.files import digest
from mimicbrush.folder_lock import held


def build_heldout(config: HeldoutSetConfig) -> None:
    """Build the set; raises UserError if a folder holds too few pairs, or a picture is damaged."""
    with held(config.output):
        inputs = [digest(list_shards(folder)) for folder in config.shards]
        pairs = [
            pair for folder in config.shards for pair in heldout_pairs(folder, config.num_pairs, option="--num_pairs")
        ]
        with claimed(config.output, config, inputs):
            _build(pairs, config)


def _build(pairs: Sequence[FramePair], config: HeldoutSetConfig) -> None:
    rng, generator = random.Random(config.seed), torch.Generator().manual_seed(config.seed)
    summary = BuildSummary(wanted=len(pairs), tried=2 * len(pairs))
    for number, pair in enumerate(pairs):
        summary.triplets.append(_write(f"{number:03d}", pair, config, rng, generator))
    write_texts(summary, config.output)
    benchmark = BenchmarkSet(folder=config.output, task="parts", track="inner_id")
    refuse_faults({str(config.output): find_faults(benchmark, frozenset())})
    advice = "If not: build again with other settings of mask, or another seed."
    sheet = write_contact_sheet(summary, list_samples(benchmark), config.output, advice=advice)
    num_groups = len({triplet.group for triplet in summary.triplets})
    counts = f"{len(pairs)} triplets of {num_groups} groups"
    print(f"held-out pairs: {counts} -> {config.output}; check the masks in {sheet}")


def _write(
    name: str, pair: FramePair, config: HeldoutSetConfig, rng: random.Random, generator: torch.Generator
) -> TripletRecord:
    square = collate([decode_pair(pair, config.size, rng)])
    hidden = mask_pairs(square, config.mask, generator)
    (source_box,), (reference_box,) = square.source_box, square.reference_box
    pictures = {
        SOURCE: hidden.source[0][source_box.inside],
        MASK: hidden.mask[0][source_box.inside],
        REFERENCE: hidden.reference[0][reference_box.inside],
    }
    for suffix, picture in pictures.items():
        write_once(picture, config.output / f"{name}{suffix}")
    origin = {"file": pair.key, **pair.origin}
    return TripletRecord(
        id=name, group=str(pair.origin.get("group", pair.key)), prompt=None, source=origin, reference=origin
    )
