"""How fast, and where the time goes: `python -m mimicbrush.bench --part train | sample | data`.

Ratios within one run on one machine are what counts; the machine and the thread count stand beside them.
"""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from mimicbrush.config import load_config, parse_config
from mimicbrush.data.batch import PairBatch, augment_and_mask
from mimicbrush.data.datamodule import PairData
from mimicbrush.errors import run_command
from mimicbrush.model.sampling import draw_noise, make_scheduler, sample, seeded_generators
from mimicbrush.training.loss import prediction_loss
from mimicbrush.training.run import TrainConfig, make_module

DEFAULT_CONFIG = Path(__file__).parents[1] / "configs" / "train" / "tiny.yaml"


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Measure one part of the road."""

    part: Literal["train", "sample", "data"] = "train"
    """train: a step by part; sample: an edit by batch size; data: pairs a second that the loader delivers."""
    train_config: Path = DEFAULT_CONFIG
    """The training config whose network or data is measured; weights are random."""
    repeats: int = 10
    """Timed repetitions, after two that are not timed; the median is printed."""


def main() -> None:
    config = parse_config(BenchConfig)
    train_config = load_config(TrainConfig, config.train_config)
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    {"train": bench_train, "sample": bench_sample, "data": bench_data}[config.part](train_config, config.repeats)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def bench_train(config: TrainConfig, repeats: int) -> None:
    """Seconds of each part of a training step on random pictures."""
    module = make_module(config).train()
    network, size, num = module.network, config.network.size, config.data.batch_size
    optimizer = torch.optim.AdamW([value for value in module.parameters() if value.requires_grad], fused=True)
    pairs = _random_pairs(num, size)
    keep = torch.ones(num, dtype=torch.bool)
    timestep = torch.randint(1000, (num,))
    clock = Clock()
    for _ in range(repeats + 2):
        batch = clock.time("augment", lambda: augment_and_mask(pairs, config.data.batch, torch.Generator()))
        latent = clock.time("encode target", network.encode, batch.source)
        told = clock.time("condition", network.condition, batch.source, batch.mask, batch.reference, keep)
        features = clock.time("reference U-Net", module.reference_features, told, timestep)
        noise = torch.randn_like(latent)
        prediction = clock.time("imitative U-Net", network.predict, latent, timestep, told, features, keep)
        loss = prediction_loss(prediction, noise, told.mask).loss
        clock.time("backward", loss.backward)
        clock.time("optimiser", _step, optimizer)
    clock.report(f"training step, {num} pairs of {size} pixels", num, "pairs/s")


def bench_sample(config: TrainConfig, repeats: int) -> None:
    """Seconds of a sampling step, by the number of edits in a batch."""
    network = make_module(config).eval().network
    for num in (1, 4):
        batch = augment_and_mask(_random_pairs(num, config.network.size), config.data.batch, torch.Generator())
        with torch.no_grad():
            told = network.condition(batch.source, batch.mask, batch.reference, torch.ones(num, dtype=torch.bool))
        noise, clock = draw_noise(network, seeded_generators(list(range(num)))), Clock()
        for _ in range(repeats + 2):
            options = {
                "scheduler": make_scheduler(network.options.prediction_type),
                "num_inference_steps": 1,
                "guidance_scale": 5.0,
            }
            clock.time("step", sample, network, told, noise, **options)
        clock.report(f"sampling step with guidance, {num} edits of {config.network.size} pixels", num, "edit steps/s")


def bench_data(config: TrainConfig, repeats: int) -> None:
    """Pairs a second from real shards, decoded and collated, without a network."""
    loader = PairData(config.data, size=config.network.size, seed=0).train_dataloader()
    batches, clock = iter(loader), Clock()
    for _ in range(repeats + 2):
        clock.time("batch", next, batches)
    clock.report(f"loader, {config.data.num_workers} workers", config.data.batch_size, "pairs/s")


class Clock:
    """Wall seconds by part; the first two rounds warm up and are left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, part: str, function: Callable, *args, **kwargs):
        """Call the function, and note how long it took."""
        _synchronise()
        started = time.perf_counter()
        result = function(*args, **kwargs)
        _synchronise()
        self.seconds.setdefault(part, []).append(time.perf_counter() - started)
        return result

    def report(self, title: str, num_items: int, unit: str) -> None:
        """Median milliseconds and shares."""
        medians = {part: sorted(values[2:])[len(values[2:]) // 2] for part, values in self.seconds.items()}
        total = sum(medians.values())
        print(f"\n{title}: {total * 1e3:.0f} ms, {num_items / total:.1f} {unit}")
        for part, seconds in medians.items():
            print(f"  {part:16s} {seconds * 1e3:8.1f} ms {100 * seconds / total:5.1f} %")


def _step(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    optimizer.zero_grad()


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _random_pairs(num: int, size: int) -> PairBatch:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, num, 3, size, size, generator=generator)
    names = [str(number) for number in range(num)]
    keypoints = torch.rand(num, 16, 2, generator=generator)
    return PairBatch(source, reference, keypoints, torch.zeros(num, 1, size, size), names, names)


if __name__ == "__main__":
    run_command(main)
