"""Shards -> batches: an endless, seeded mixture of sources for training, a fixed list for judging."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch
import webdataset as wds
from lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mimicbrush.data.batch import BatchConfig, InpaintingBatch, PairBatch, collate, decode_pair, mask_pairs
from mimicbrush.data.masking import MaskConfig
from mimicbrush.data.shards import FramePair, list_shards, read_pairs, sample_stages, to_pair
from mimicbrush.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One folder of shards in the mixture."""

    shards: Path
    """Folder written by data_prep."""
    weight: float
    """Share of the samples, relative to the other sources' weights."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight of {self.shards} is {self.weight}, expected a positive number")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What the training reads."""

    sources: list[SourceConfig]
    """Folders of shards and their shares; the paper takes 0.7 video and 0.3 stills."""
    heldout: Path | None = None
    """Folder of shards that training never sees, for previews and reference use."""
    batch_size: int = 8
    """Pairs a step on each device."""
    num_workers: int = 1
    """Processes that read and decode; 0 reads in the training process."""
    shuffle_buffer: int = 1000
    """Samples of a source that are mixed before one is taken."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Masks and augmentations."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources is empty, expected at least one folder of shards")
        if self.batch_size < 1 or self.num_workers < 0 or self.shuffle_buffer < 1:
            raise ValueError("batch_size and shuffle_buffer must be at least 1, num_workers at least 0")


class PairStream(IterableDataset):
    """Endless decoded pairs, each source in its share; a function of the seed, the rank and the worker.

    Shards are divided among ranks and workers; every pass over a source is shuffled anew.
    """

    def __init__(self, config: DataConfig, *, size: int, seed: int | str, rank: int = 0, num_ranks: int = 1) -> None:
        self.config = config
        self.size = size
        self.seed = seed
        self.rank = rank
        self.num_ranks = num_ranks
        self.shards = [list_shards(source.shards) for source in config.sources]
        self._check_shards()

    def __iter__(self) -> Iterator[PairBatch]:
        info = get_worker_info()
        worker, num_workers = (info.id, info.num_workers) if info else (0, 1)
        part, num_parts = self.rank * num_workers + worker, self.num_ranks * num_workers
        rng = random.Random(f"{self.seed} {part}")
        streams = [self._endless(shards[part::num_parts], rng) for shards in self.shards]
        weights = [source.weight for source in self.config.sources]
        while True:
            (stream,) = rng.choices(streams, weights)
            yield decode_pair(next(stream), self.size, rng)

    def _endless(self, shards: list[Path], rng: random.Random) -> Iterator[FramePair]:
        for _ in count():
            order = rng.sample(shards, len(shards))
            yield from wds.DataPipeline(
                *sample_stages(order),
                wds.shuffle(self.config.shuffle_buffer, rng=rng),
                wds.map(to_pair),
            )

    def _check_shards(self) -> None:
        parts = self.num_ranks * max(1, self.config.num_workers)
        for source, shards in zip(self.config.sources, self.shards, strict=True):
            if len(shards) < parts:
                raise UserError(
                    f"{source.shards}: {len(shards)} shards for {self.num_ranks} ranks of"
                    f" {max(1, self.config.num_workers)} workers; lower data.num_workers or make smaller shards"
                )


class PairData(LightningDataModule):
    """Training batches for Lightning. `start_step` sets the data's order apart from what was seen before a resume.

    Raises UserError where a source holds no sound shard.
    """

    def __init__(self, config: DataConfig, *, size: int, seed: int, start_step: int = 0) -> None:
        super().__init__()
        self.config = config
        self.size = size
        self.seed = seed
        self.start_step = start_step
        for source in config.sources:
            list_shards(source.shards)

    def train_dataloader(self) -> DataLoader:
        rank, num_ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        seed = f"{self.seed} {self.start_step}"
        stream = PairStream(self.config, size=self.size, seed=seed, rank=rank, num_ranks=num_ranks)
        return DataLoader(
            stream,
            batch_size=self.config.batch_size,
            collate_fn=collate,
            num_workers=self.config.num_workers,
            persistent_workers=self.config.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def heldout_batches(
    shards: Path,
    size: int,
    num_pairs: int,
    seed: int,
    *,
    batch_size: int = 16,
    mask: MaskConfig | None = None,
) -> list[InpaintingBatch]:
    """A fixed choice of `num_pairs` pairs with fixed grid masks and no augmentation, spread evenly over groups.

    Raises UserError where the shards hold fewer pairs, or pairs of fewer than two groups.
    """
    pairs = _spread_over_groups(read_pairs(list_shards(shards)), num_pairs, lambda pair: pair.origin.get("group"))
    num_groups = len({pair.origin.get("group") for pair in pairs})
    if len(pairs) < num_pairs or num_groups < 2:
        raise UserError(f"{shards}: {len(pairs)} pairs of {num_groups} groups, needs {num_pairs} pairs of 2 or more")
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    batches = []
    for first in range(0, num_pairs, batch_size):
        batch = collate([decode_pair(pair, size, rng) for pair in pairs[first : first + batch_size]])
        batches.append(mask_pairs(batch, batch.keypoints, batch.object_mask, mask or MaskConfig(), generator))
    return batches


def _spread_over_groups(
    pairs: Iterator[FramePair], num: int, group_of: Callable[[FramePair], object]
) -> list[FramePair]:
    """The first `num` pairs when groups take turns."""
    groups: dict[object, list[FramePair]] = {}
    for pair in pairs:
        groups.setdefault(group_of(pair), []).append(pair)
    turns = (group[turn] for turn in count() for group in groups.values() if turn < len(group))
    total = sum(map(len, groups.values()))
    return [next(turns) for _ in range(min(num, total))]
