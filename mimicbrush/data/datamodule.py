"""From shards to batches: an endless mixture of sources for training, a fixed list of pairs for evaluation."""

from __future__ import annotations

import hashlib
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count, repeat, zip_longest
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from mimicbrush.data.batch import InpaintingBatch, mask_pairs
from mimicbrush.data.config import DataConfig, MaskConfig
from mimicbrush.data.decode import PairBatch, collate, decode_pair
from mimicbrush.data.order import ORDER_VERSION, MixtureOrder, SamplePlace, SourceOrder, Streams
from mimicbrush.data.remote_samples import prepare_ahead
from mimicbrush.data.shards import DamagedSampleError, FramePair, Shard, open_shards
from mimicbrush.errors import UserError
from mimicbrush.seeds import random_of_position

MAX_SKIPPED = 16
"""Number of damaged samples in a row after which training ends with an error."""


class PairDataset(Dataset):
    """Decoded pairs by their position in the endless order: a function of the seed and the position alone."""

    def __init__(self, config: DataConfig, *, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.config = config
        self.shards = [open_shards(source.shards, config.cache) for source in config.sources]
        self.is_remote = any(shard.remote for shards in self.shards for shard in shards)
        self.last_first: int | None = None
        self.use_order(ORDER_VERSION)

    def use_order(self, version: int) -> None:
        """Take the samples in the order of this version; see ORDER_VERSION."""
        self.order_version = version
        streams, window = Streams(self.seed, version), self.config.shuffle_window
        sources = [
            SourceOrder([shard.samples for shard in shards], window=window, streams=streams, number=number)
            for number, shards in enumerate(self.shards)
        ]
        self.order = MixtureOrder(sources, [source.weight for source in self.config.sources], streams=streams)

    @property
    def fingerprint(self) -> str:
        """Digest of the shards and their usable samples: a different one means a different order of samples."""
        held = [(shard.path.name, shard.sha256, len(shard.samples)) for shards in self.shards for shard in shards]
        return hashlib.sha256(repr(held).encode()).hexdigest()

    def __getitem__(self, position: int) -> PairBatch:
        """Read the sample at a position as a batch of one; a damaged sample is replaced by another of its source.

        Raises UserError if MAX_SKIPPED samples in a row are damaged.
        """
        rng = random_of_position(self.seed, position)
        place, skipped = self.order[position], []
        while len(skipped) < MAX_SKIPPED:
            shard = self.shards[place.source][place.shard]
            try:
                return decode_pair(shard.read(place.sample), self.size, rng, position=position, skipped=skipped)
            except DamagedSampleError as damage:
                skipped.append(str(damage))
                turn = rng.randrange(self.order.sources[place.source].num_samples)
                place = SamplePlace(place.source, *self.order.sources[place.source][turn])
        raise UserError(f"{len(skipped)} samples in a row are damaged, the last: {skipped[-1]}; shard the data anew")

    def __getitems__(self, positions: Sequence[int]) -> list[PairBatch]:
        """Read a batch; samples at an address are requested together, and those of the next batch with them."""
        if self.is_remote:
            self._prepare(positions)
        return [self[position] for position in positions]

    def _prepare(self, positions: Sequence[int]) -> None:
        """Begin to read these positions and those of the batch after them.

        Each process takes every n-th batch, so the distance to its last batch is that to its next.
        """
        before, self.last_first = self.last_first, positions[0]
        step = 0 if before is None else positions[0] - before
        for position in [*positions, *(position + step for position in positions if step > 0)]:
            place = self.order[position]
            self.shards[place.source][place.shard].prepare(place.sample)


class BatchPositions(Sampler[list[int]]):
    """The positions in each batch of one rank, without end.

    start: positions before it were seen earlier. Ranks take turns, batch by batch: with an equal number of samples per
    step, a step has the same positions for any number of ranks.
    """

    def __init__(self, start: int, *, batch_size: int, rank: int, num_ranks: int, only_first: bool = False) -> None:
        self.start = start
        self.batch_size = batch_size
        self.rank = rank
        self.num_ranks = num_ranks
        self.only_first = only_first

    def __iter__(self) -> Iterator[list[int]]:
        batches = repeat(0) if self.only_first else count()
        for batch in batches:
            first = self.start + (batch * self.num_ranks + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))


class PairData(LightningDataModule):
    """Training batches for Lightning, which keeps their position in its checkpoints.

    only_first: repeat the first batch, to see whether the network can overfit it.
    Raises UserError if a source holds no intact shard.
    """

    def __init__(self, config: DataConfig, *, size: int, seed: int, only_first: bool = False) -> None:
        super().__init__()
        self.config = config
        self.only_first = only_first
        self.dataset = PairDataset(config, size=size, seed=seed)
        self.start = 0

    def train_dataloader(self) -> DataLoader:
        """Batches from the position at which the checkpoint was saved."""
        return self.loader(self.start, rank=self.trainer.global_rank, num_ranks=self.trainer.world_size)

    def loader(self, start: int = 0, *, rank: int = 0, num_ranks: int = 1) -> DataLoader:
        """Batches of one rank from position `start` on."""
        num_workers = self.config.num_workers
        positions = BatchPositions(
            start, batch_size=self.config.batch_size, rank=rank, num_ranks=num_ranks, only_first=self.only_first
        )
        return DataLoader(
            self.dataset,
            batch_sampler=positions,
            collate_fn=collate,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            timeout=self.config.timeout if num_workers else 0,
            worker_init_fn=_ignore_signals,
            pin_memory=torch.cuda.is_available(),
        )

    def state_dict(self) -> dict:
        """The position to resume from, and the settings and shards for which it is valid."""
        seen = self.trainer.global_step * self._samples_per_step
        return {
            "position": 0 if self.only_first else seen,
            "samples_per_step": self._samples_per_step,
            "order_version": self.dataset.order_version,
            "fingerprint": self.dataset.fingerprint,
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore the position; raises UserError if resuming would repeat or lose samples."""
        if state_dict["fingerprint"] != self.dataset.fingerprint:
            raise UserError(
                "the shards are not those that this run has begun with, so it cannot resume without repeating or losing"
                " samples; restore them, or start a new run from these weights with another --output and"
                " --network.weights RUN"
            )
        before, now = state_dict["samples_per_step"], self._samples_per_step
        if before != now:
            found = f"this run takes {before} samples per step, now {now}"
            raise UserError(f"{found}; set run.samples_per_step to {before}")
        # Checkpoints of earlier versions do not name the version of the order, which was 1.
        self.dataset.use_order(state_dict.get("order_version", 1))
        self.start = state_dict["position"]

    @property
    def _samples_per_step(self) -> int:
        return self.trainer.world_size * self.config.batch_size * self.trainer.accumulate_grad_batches


def _ignore_signals(worker: int) -> None:
    """Ignore signals that ask the run to stop: they reach all processes, and without workers no step could finish.

    The second SIGTERM ends the worker: the parent sends it when it cleans up.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def heldout_batches(
    shards: str | Path,
    size: int,
    num_pairs: int,
    seed: int,
    *,
    batch_size: int = 16,
    mask: MaskConfig | None = None,
) -> list[InpaintingBatch]:
    """Read `heldout_pairs` with fixed masks and no augmentation; raises UserError if a picture is damaged."""
    pairs = heldout_pairs(shards, num_pairs)
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    batches = []
    for first in range(0, num_pairs, batch_size):
        with _naming(shards):
            batch = collate([decode_pair(pair, size, rng) for pair in pairs[first : first + batch_size]])
        batches.append(mask_pairs(batch, mask or MaskConfig(), generator))
    return batches


def heldout_pairs(shards: str | Path, num_pairs: int, *, option: str | None = None) -> list[FramePair]:
    """Read the pairs that `choose_heldout` chooses, and no others; raises UserError if one is damaged."""
    with _naming(shards):
        return [shard.read(sample) for shard, sample in prepare_ahead(choose_heldout(shards, num_pairs, option=option))]


def choose_heldout(
    folder: str | Path, num_pairs: int, *, or_fewer: bool = False, option: str | None = None
) -> list[tuple[Shard, int]]:
    """Choose samples that have a reference, always the same ones, spread evenly over groups.

    or_fewer: take all pairs if there are fewer than num_pairs. option: the option that sets num_pairs, for the message.
    Raises UserError if the folder holds fewer pairs, or pairs of fewer than two groups.
    """
    groups: dict[str, list[tuple[Shard, int]]] = {}
    for shard in open_shards(folder):
        for sample, group in zip(shard.samples.tolist(), shard.find_groups(), strict=True):
            if group is not None:
                groups.setdefault(group, []).append((shard, sample))
    turns = list(chain.from_iterable(zip_longest(*groups.values())))
    chosen = [place for place in turns if place is not None][:num_pairs]
    num_groups = min(len(groups), len(chosen))
    if (len(chosen) < num_pairs and not or_fewer) or num_groups < 2:
        found = f"{folder}: {len(chosen)} pairs of {num_groups} groups, needs {num_pairs} pairs of 2 or more"
        fewer = f"ask for fewer pairs with {option}" if option else "ask for fewer pairs"
        raise UserError(f"{found}; {fewer} or hold more clips out")
    return chosen


@contextmanager
def _naming(folder: str | Path) -> Iterator[None]:
    """Raise UserError for a damaged pair: held-out pairs are a fixed choice, so it is not replaced."""
    try:
        yield
    except DamagedSampleError as damage:
        raise UserError(f"{folder}: a held-out pair is damaged ({damage}); shard the held-out data anew") from None
