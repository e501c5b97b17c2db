"""Time of a step of Text2LIVE compared with the released algorithm, its FLOPs by part, and estimates of whole edits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from transformers import CLIPConfig, CLIPModel

from mimicbrush.bench.editors.config import LayerBenchConfig
from mimicbrush.bench.editors.released_layer_losses import ReleasedLosses
from mimicbrush.bench.editors.released_layer_network import ReleasedLayerNetwork, ReleasedMadgrad
from mimicbrush.device import choose_device, describe_device
from mimicbrush.editors.text2live import Text2LiveEditor
from mimicbrush.editors.text2live.clip_guide import ClipGuide, load_clip_guide
from mimicbrush.editors.text2live.layer_optimisation import LayerOptimisation
from mimicbrush.editors.text2live.settings import PRESETS, Text2LiveSettings
from mimicbrush.machine import GIBIBYTE, peak_memory, reset_peak_memory
from mimicbrush.requests import LayerRequest
from mimicbrush.training.flops_and_bytes import count_flops
from mimicbrush.training.timing import now

REGION = "ball"
LOSS_WEIGHTS = ("structure_weight", "composition_weight", "screen_weight", "bootstrap_weight")
"""Weights of the losses that use CLIP."""


class BenchTokenizer:
    """Stands in for a tokenizer where CLIP's weights are random: every text has the same eight tokens."""

    init_kwargs: Mapping[str, object] = {}

    def __call__(self, texts: str | list[str], **options: object) -> BenchTokens:
        tokens = torch.arange(8)
        return BenchTokens(input_ids=tokens if isinstance(texts, str) else tokens.repeat(len(texts), 1))


class BenchTokens(dict):
    """The only tensor of a `BenchTokenizer`."""

    @property
    def input_ids(self) -> torch.Tensor:
        return self["input_ids"]

    def to(self, device: torch.device) -> BenchTokens:
        return BenchTokens(input_ids=self.input_ids.to(device))


class TimedSteps(NamedTuple):
    """Seconds and peak memory in GiB of the timed steps, and the total losses of all steps, the warm-up first."""

    seconds: list[float]
    peaks: list[float]
    losses: list[float]


def bench_layers(config: LayerBenchConfig) -> None:
    """Print the times of both algorithms on equal draws, the FLOPs of a step by part, and the time of a whole edit."""
    device = choose_device(config.device)
    settings = _settings(config)
    guides = {dtype: _load(config, device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    print(f"{describe_device(device)}; {config.clip or 'random weights of ViT-B/32'}, preset {config.preset}")
    print(
        f"source of {config.size} x {config.size * 4 // 3}, {'whole picture and crop' if config.whole else 'crop'},"
        f" {config.clock} seconds of a step, medians of {config.repeats}\n"
    )
    plain, half = (_prepare(config, guide, settings, device) for guide in guides.values())
    released = as_released(_prepare(config, guides[torch.float32], settings, device), [REGION])
    rows = {"released": released, "ours, float32": plain, "ours, bfloat16": half}
    found = {name: TimedSteps([], [], []) for name in rows}
    for step in range(config.repeats + 1):
        for name, optimisation in rows.items():
            _time_step(optimisation, step, config, found[name])
    print("algorithm        seconds   ratio   peak GiB   difference of the first total loss, relative")
    for name, steps in found.items():
        print(_row(name, steps, found["released"]))
    flops = count_parts(config, guides[torch.float32], settings, device)
    _print_estimates(flops, statistics.median(found["ours, float32"].seconds), config, settings)


def as_released(optimisation: LayerOptimisation, regions: Sequence[str]) -> LayerOptimisation:
    """Replace network, optimiser and losses of an optimisation by the released ones, in place, and return it.

    regions: its region prompts.
    """
    settings, ours = optimisation.settings, optimisation.network
    network = ReleasedLayerNetwork(
        settings.num_scales,
        down=settings.num_channels,
        up=settings.num_channels,
        skip=settings.num_skip_channels,
        canvas_side=settings.canvas_side,
        has_two_colours=ours.colours is not None,
    ).to(optimisation.device)
    network.load_state_dict(ours.state_dict())
    optimisation.network = network
    optimisation.optimizer = ReleasedMadgrad(network.parameters(), lr=settings.learning_rate)
    optimisation.losses = ReleasedLosses(optimisation.losses, regions)
    return optimisation


def count_parts(
    config: LayerBenchConfig, guide: ClipGuide, settings: Text2LiveSettings, device: torch.device
) -> dict[str, int]:
    """Count the FLOPs of a step by part, forward and backward; the step has the crop alone."""

    def count(**weights: float) -> int:
        optimisation = _prepare(config, guide, replace(settings, **weights), device)
        return count_flops(lambda: optimisation.run_step(optimisation.draw(1)))[1]

    none = dict.fromkeys(LOSS_WEIGHTS, 0.0)
    network = count(**none)  # with the loss on opacity, which uses no CLIP
    parts = {"network": network}
    for name in LOSS_WEIGHTS:
        parts[name.removesuffix("_weight")] = count(**none | {name: getattr(settings, name)}) - network
    return parts


def _time_step(optimisation: LayerOptimisation, step: int, config: LayerBenchConfig, found: TimedSteps) -> None:
    draws = optimisation.draw(0 if config.whole else step + 1)
    peak_is_known, started = reset_peak_memory(optimisation.device), now(config.clock)
    losses = optimisation.run_step(draws)
    if step:
        found.seconds.append(now(config.clock) - started)
        found.peaks.append(peak_memory(optimisation.device) / GIBIBYTE if peak_is_known else math.nan)
    found.losses.append(losses["total"])


def _row(name: str, steps: TimedSteps, released: TimedSteps) -> str:
    seconds = statistics.median(steps.seconds)
    ratio = statistics.median(slow / fast for slow, fast in zip(released.seconds, steps.seconds, strict=True))
    # Later steps start from weights that differ by rounding.
    difference = abs(steps.losses[0] / released.losses[0] - 1)
    return f"{name:15s} {seconds:8.3f} {ratio:7.2f} {max(steps.peaks):10.2f}   {difference:.1e}"


def _print_estimates(
    flops: Mapping[str, int], seconds: float, config: LayerBenchConfig, settings: Text2LiveSettings
) -> None:
    total = sum(flops.values())
    shares = ", ".join(f"{name} {count / 1e9:.1f} ({count / total:.0%})" for name, count in flops.items())
    print(f"\nGFLOPs of a step with the crop alone: {total / 1e9:.1f}: {shares}")
    whole_edit = total * settings.num_steps
    print(
        f"an edit of {settings.num_steps} steps: {whole_edit / 1e12:.0f} TFLOPs;"
        f" {seconds * settings.num_steps / 60:.1f} {config.clock} minutes here in float32,"
        f" and {whole_edit / config.gpu_tflops / 1e12 / 60:.1f} minutes on a GPU that reaches"
        f" {config.gpu_tflops:g} TFLOP/s"
    )


def _settings(config: LayerBenchConfig) -> Text2LiveSettings:
    settings = PRESETS[config.preset]
    return replace(settings, resolution=None, patience=None)


def _load(config: LayerBenchConfig, device: torch.device, dtype: torch.dtype) -> ClipGuide:
    if config.clip is not None:
        return load_clip_guide(config.clip, device=device, dtype=dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip = CLIPModel(CLIPConfig()).to(device, dtype)
    return ClipGuide(clip, BenchTokenizer()).to(device)


def _prepare(
    config: LayerBenchConfig, guide: ClipGuide, settings: Text2LiveSettings, device: torch.device
) -> LayerOptimisation:
    generator = torch.Generator().manual_seed(0)
    request = LayerRequest(
        source=torch.rand(1, 3, config.size, config.size * 4 // 3, generator=generator),
        prompts=("a red ball",),
        source_prompts=("a blue ball",),
        region_prompts=(REGION,),
    )
    return Text2LiveEditor(guide, settings=settings, device=str(device)).prepare(request)
