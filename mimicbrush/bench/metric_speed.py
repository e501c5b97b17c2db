"""Time and FLOPs of each metric, compared with the edit that it scores; weights are random."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mimicbrush.bench.config import MetricsBenchConfig
from mimicbrush.bench.metric_networks import write_networks
from mimicbrush.bench.sampling_speed import guided_step
from mimicbrush.benchmark_layout import SampleFacts
from mimicbrush.device import describe_device
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, FollowingFrame
from mimicbrush.model.config import full_size_network
from mimicbrush.model.weights.build import initialise
from mimicbrush.training.flops_and_bytes import count_flops
from mimicbrush.training.step_cost import shaped_network
from mimicbrush.training.timing import matrix_rate, now


class MetricCost(NamedTuple):
    """Cost of one metric for one edit."""

    name: str
    seconds: float
    flops: float


def bench_metrics(config: MetricsBenchConfig) -> None:
    """Print the time and FLOPs of each metric, and the share of all metrics in those of an edit."""
    with tempfile.TemporaryDirectory() as folder:
        models = Models(write_networks(Path(folder), config.networks), device=config.device)
        costs = [_cost(name, metric, config, models) for name, metric in METRICS.items()]
    print(f"\n{describe_device(models.device)}; {config.picture_size} pixels, {config.clock} time of an edit")
    total = MetricCost("all", sum(cost.seconds for cost in costs), sum(cost.flops for cost in costs))
    for cost in (*costs, total):
        print(f"  {cost.name:20s} {cost.seconds * 1e3:9.1f} ms {cost.flops / 1e9:10.2f} GFLOP")
    _, flops = count_flops(lambda: guided_step(shaped_network(full_size_network())))
    seconds, how = _step_seconds(config, models.device, flops)
    steps, share = config.num_inference_steps, total.flops / flops / config.num_inference_steps
    print(f"the {steps} steps of a full-size edit: {steps * flops / 1e12:.1f} TFLOP, {steps * seconds:.1f} s {how}")
    print(f"all metrics: {share:.2%} of its FLOPs, {total.seconds / seconds / steps:.2%} of its time")


def random_edits(size: int, seeds: Iterable[int]) -> list[EditedPicture]:
    """Make edits of different random square pictures; the mask is a disc that touches all sides of the picture.

    The true object is its upper half. The next frame of each, for the metrics of clips, is the edit itself.
    """
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    mask = np.hypot(rows, columns) <= size / 2
    edits = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        source, edited, reference, truth = rng.integers(0, 256, (4, size, size, 3), np.uint8)
        edited, truth = (np.where(mask[..., None], picture, source) for picture in (edited, truth))
        edits.append(
            EditedPicture(
                source=source,
                mask=mask,
                edited=edited,
                reference=reference,
                reference_mask=mask,
                prompt=f"a toy with the texture of #sample {seed}#",
                truth=truth,
                truth_mask=mask & (rows < 0),
                object_mask=mask,
                proposed_mask=mask.astype(np.float32),
                facts=SampleFacts(scoring="exact", vocabulary="seen"),
                following=FollowingFrame(edited, rng.normal(size=(2, size, size)).astype(np.float32), mask),
            )
        )
    return edits


def _step_seconds(config: MetricsBenchConfig, device: torch.device, flops: float) -> tuple[float, str]:
    """Seconds of a guided sampling step in float32, and a note on how they were measured or estimated."""
    if not config.num_timed_steps:
        rate = matrix_rate(device, torch.float32)
        return (
            flops / rate,
            f"at {rate / 1e9:.0f} GFLOP/s, the rate of a large matrix product here, which is an upper bound",
        )
    network = initialise(full_size_network()).to(device)
    guided_step(network)
    started = now(config.clock)
    for _ in range(config.num_timed_steps):
        guided_step(network)
    return (now(config.clock) - started) / config.num_timed_steps, f"by {config.num_timed_steps} timed steps"


def _cost(name: str, metric: Metric, config: MetricsBenchConfig, models: Models) -> MetricCost:
    # Each metric gets different pictures, because the networks' outputs for the last ones are cached.
    first = 1000 * list(METRICS).index(name)
    warm_up, *edits = random_edits(config.picture_size, range(first, first + config.num_edits + 1))
    _, flops = count_flops(lambda: measure([warm_up], {name: metric}, models))
    started = now(config.clock)
    measure(edits, {name: metric}, models)
    return MetricCost(name, (now(config.clock) - started) / len(edits), flops)
