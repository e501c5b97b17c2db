"""What each metric costs beside the edit that it judges; networks have their full sizes and random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mimicbrush.bench.clock import describe_machine
from mimicbrush.bench.networks import Size, write_networks
from mimicbrush.evaluation.metrics import METRICS, Edit, Metric, Models, measure
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.weights import full_size_network
from mimicbrush.training.clock import ClockKind, matrix_rate, now
from mimicbrush.training.cost import shaped_network
from mimicbrush.training.counting import count_flops

NUM_TOKENS = 257


@dataclass(frozen=True, kw_only=True)
class MetricsBenchConfig:
    """Time every metric, and compare all with the edit itself; weights are random."""

    picture_size: int = 512
    """Pixels of a side; the mask's box is the whole picture, the most that a metric can be given."""
    num_edits: int = 4
    """Timed edits, of which no two share a source or a reference, as those of several editors would."""
    num_inference_steps: int = 50
    """Of the edit that metrics are compared with, with guidance."""
    networks: Size = "full"
    """full, or tiny to try the command."""
    clock: ClockKind = "cpu"
    """cpu: seconds of the processor, of all threads; wall, as must be on a GPU."""
    device: str = "auto"
    """auto takes a GPU where there is one."""

    def __post_init__(self) -> None:
        for name, least in (("num_edits", 1), ("picture_size", 32), ("num_inference_steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")


class MetricCost(NamedTuple):
    """Of one edit."""

    name: str
    seconds: float
    flops: float


def bench_metrics(config: MetricsBenchConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        models = Models(write_networks(Path(folder), config.networks), device=config.device)
        costs = [_cost(name, metric, config, models) for name, metric in METRICS.items()]
    print(f"\n{describe_machine(models.device)}; {config.picture_size} pixels, {config.clock} time of an edit")
    total = MetricCost("all", sum(cost.seconds for cost in costs), sum(cost.flops for cost in costs))
    for cost in (*costs, total):
        print(f"  {cost.name:20s} {cost.seconds * 1e3:9.1f} ms {cost.flops / 1e9:10.2f} GFLOP")
    flops = config.num_inference_steps * step_flops(shaped_network(full_size_network()))
    rate = matrix_rate(models.device, torch.float32)
    print(f"the {config.num_inference_steps} steps of a full-size edit: {flops / 1e12:.1f} TFLOP, at least")
    print(f"  {flops / rate:.1f} s at {rate / 1e9:.0f} GFLOP/s, the rate here of a large matrix product in float32")
    print(f"all metrics: {total.flops / flops:.2%} of its FLOPs, {total.seconds * rate / flops:.2%} of these seconds")


def step_flops(network: MimicBrushNetwork) -> int:
    """FLOPs of one step of one edit with guidance, by a network on the meta device: nothing is computed."""
    side = network.size // network.stride
    width = network.imitative_unet.config.cross_attention_dim
    with torch.device("meta"), torch.no_grad():
        latent, timestep = torch.empty(1, 4, side, side), torch.empty((), dtype=torch.long)
        conditions = Conditions(latent[:, :1], latent, latent, torch.empty(1, NUM_TOKENS, width), latent)
        rows = Conditions(*(torch.cat([value, value]) for value in conditions))
        features, of_reference = count_flops(
            lambda: network.reference_features(latent, timestep, conditions.image_tokens)
        )
        _, of_imitative = count_flops(
            lambda: network.predict(torch.cat([latent, latent]), timestep, rows, features, twins=True)
        )
    return of_reference + of_imitative


def random_edits(size: int, seeds: Iterable[int]) -> list[Edit]:
    """Edits of a square picture, all unlike; the mask is a disc that touches the picture's sides."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    mask = np.hypot(rows, columns) <= size / 2
    edits = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        source, edited, reference = rng.integers(0, 256, (3, size, size, 3), np.uint8)
        edited = np.where(mask[..., None], edited, source)
        edits.append(Edit(source, mask, edited, reference, mask, f"a toy with the texture of #sample {seed}#"))
    return edits


def _cost(name: str, metric: Metric, config: MetricsBenchConfig, models: Models) -> MetricCost:
    # Each metric sees pictures of its own, as what networks made of the last ones is remembered.
    first = 1000 * list(METRICS).index(name)
    warm_up, *edits = random_edits(config.picture_size, range(first, first + config.num_edits + 1))
    _, flops = count_flops(lambda: measure([warm_up], {name: metric}, models))
    started = now(config.clock)
    measure(edits, {name: metric}, models)
    return MetricCost(name, (now(config.clock) - started) / len(edits), flops)
