"""Whole edits of the pipeline: until the first step, one result, and several together."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from mimicbrush.config import load_config
from mimicbrush.model.weights.build import initialise
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.clock import now
from mimicbrush.training.config import ClockKind, TrainConfig

PRESET = Path(__file__).parents[2] / "configs" / "train" / "tiny.yaml"
NUM_SAMPLES = 4
NUM_STEPS = 10


def bench_edits(*, device: torch.device, repeats: int, clock: ClockKind) -> None:
    """Print what edits cost with the tiny preset's network, of random weights."""
    started = now(clock)
    network = initialise(load_config(TrainConfig, PRESET).network).eval()
    pipe = MimicBrushPipeline.from_network(network).to(device)
    pipe.set_progress_bar_config(disable=True)
    loaded = now(clock)
    first = _until_first_step(pipe, clock)
    print(
        f"\ntiny preset: made in {loaded - started:.2f} s; first step done {first:.2f} {clock} s after the call, cold"
    )

    def together() -> None:
        _edit(pipe, num_images_per_prompt=NUM_SAMPLES)

    def one_by_one() -> None:
        for _ in range(NUM_SAMPLES):
            _edit(pipe)

    both = [(_seconds(together, clock), _seconds(one_by_one, clock)) for _ in range(repeats)]
    batch, singles = (statistics.median(column) for column in zip(*both, strict=True))
    print(
        f"{NUM_SAMPLES} samples of {NUM_STEPS} steps together {batch:.2f} s, one by one {singles:.2f} s:"
        f" ratio {statistics.median(slow / fast for fast, slow in both):.2f}"
    )


def _edit(pipe: MimicBrushPipeline, **options: object) -> None:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 3, 96, 128, generator=generator).unbind()
    mask = torch.zeros(1, 96, 128)
    mask[:, 30:60, 40:80] = 1
    pipe(source, mask, reference, num_inference_steps=NUM_STEPS, generator=generator, output_type="pt", **options)


def _until_first_step(pipe: MimicBrushPipeline, clock: ClockKind) -> float:
    moments = []

    def note(*told: object) -> dict:
        moments.append(now(clock))
        return {}

    started = now(clock)
    _edit(pipe, callback_on_step_end=note)
    return moments[0] - started


def _seconds(run: Callable[[], None], clock: ClockKind) -> float:
    started = now(clock)
    run()
    return now(clock) - started
