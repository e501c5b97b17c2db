"""Where the time of a training step goes, and how many pairs a second the loader delivers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from mimicbrush.bench.clock import NUM_WARM_UPS, Clock, describe_machine, peak_memory
from mimicbrush.config import load_config
from mimicbrush.data.batch import PairBatch, augment_and_mask
from mimicbrush.data.datamodule import PairData
from mimicbrush.imaging import Placement
from mimicbrush.training.loss import prediction_loss
from mimicbrush.training.run import TrainConfig, make_module

DEFAULT_CONFIG = Path(__file__).parents[2] / "configs" / "train" / "tiny.yaml"


@dataclass(frozen=True, kw_only=True)
class TrainBenchConfig:
    """Time a training step, part by part, on random pictures."""

    train_config: Path = DEFAULT_CONFIG
    """The training config whose network is measured; random parts stay random."""
    repeats: int = 10
    """Timed repetitions, after two that are not timed; the median is printed."""


@dataclass(frozen=True, kw_only=True)
class LoaderBenchConfig:
    """Count the pairs a second that the loader delivers from real shards, without a network."""

    train_config: Path = DEFAULT_CONFIG
    """The training config whose shards are read."""
    repeats: int = 10
    """Timed batches, after two that are not timed; the median is printed."""


def bench_training(bench: TrainBenchConfig) -> None:
    config = load_config(TrainConfig, bench.train_config)
    module = make_module(config).train()
    network, size, num = module.network, config.network.size, config.data.batch_size
    optimizer = torch.optim.AdamW([value for value in module.parameters() if value.requires_grad], fused=True)
    pairs = _random_pairs(num, size)
    keep = torch.ones(num, dtype=torch.bool)
    timestep = torch.randint(1000, (num,))
    clock = Clock()
    for _ in range(bench.repeats + NUM_WARM_UPS):
        batch = clock.time("augment", lambda: augment_and_mask(pairs, config.data.batch, torch.Generator()))
        latent = clock.time("encode target", network.encode, batch.source)
        told = clock.time("condition", network.condition, batch.source, batch.mask, batch.reference, keep)
        reference = (told.reference_latent, timestep, told.image_tokens)
        features = clock.time("reference U-Net", network.reference_features, *reference)
        noise = torch.randn_like(latent)
        prediction = clock.time(
            "imitative U-Net", network.predict, latent, timestep, told, features, keep_reference=keep
        )
        loss = prediction_loss(prediction, noise, told.mask).loss
        clock.time("backward", loss.backward)
        clock.time("optimiser", _step, optimizer)
    print(describe_machine(module.device))
    clock.report(f"training step, {num} pairs of {size} pixels", num, "pairs/s")
    print(f"peak memory {peak_memory(module.device):.2f} GiB")


def bench_loader(bench: LoaderBenchConfig) -> None:
    config = load_config(TrainConfig, bench.train_config)
    loader = PairData(config.data, size=config.network.size, seed=0).loader()
    batches, clock = iter(loader), Clock()
    for _ in range(bench.repeats + NUM_WARM_UPS):
        clock.time("batch", next, batches)
    clock.report(f"loader, {config.data.num_workers} workers", config.data.batch_size, "pairs/s")


def _step(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    optimizer.zero_grad()


def _random_pairs(num: int, size: int) -> PairBatch:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.randint(256, (2, num, 3, size, size), dtype=torch.uint8, generator=generator)
    names = [str(number) for number in range(num)]
    keypoints = torch.rand(num, 16, 2, generator=generator)
    objects = torch.zeros(num, 1, size, size, dtype=torch.bool)
    boxes = [Placement(0, 0, size, size)] * num
    return PairBatch(source, reference, keypoints, objects, boxes, boxes, names, names, [*range(num)], [])
