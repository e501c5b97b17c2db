"""GPU checks of edits: speed, measured against counted memory, offloading, and the sampling step."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from mimicbrush.bench.config import SampleBenchConfig
from mimicbrush.bench.edit_memory import WAYS, count_memory, run_edit
from mimicbrush.bench.gpu_check_types import CheckResult, CheckSetup, SkippedCheck, is_as_counted
from mimicbrush.bench.sampling_speed import compare_steps
from mimicbrush.machine import GIBIBYTE, peak_memory, reset_peak_memory
from mimicbrush.model.weights.build import initialise
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.step_cost import shaped_network
from mimicbrush.training.timing import now

NUM_EDIT_STEPS = 10
PICTURE_TOLERANCE = 0.02
"""Largest accepted difference of pixels in [0, 1] between an edit and the same edit with offloading."""


def check_edit(setup: CheckSetup) -> CheckResult:
    """Time an edit, and compare its peak memory with the counted one."""
    pipe = _pipeline(setup).to(setup.device)
    run_edit(pipe, num_inference_steps=1)
    reset_peak_memory(setup.device)
    started = now()
    pictures = run_edit(pipe, num_inference_steps=NUM_EDIT_STEPS)
    seconds = now() - started
    measured = f"{seconds:.2f} s, {1e3 * seconds / NUM_EDIT_STEPS:.0f} ms a step"
    is_ok = bool(pictures.isfinite().all())
    return _with_memory(CheckResult(f"an edit of {NUM_EDIT_STEPS} steps", measured, is_ok), setup, "bfloat16")


def check_offload(setup: CheckSetup, kind: Literal["model", "sequential"]) -> CheckResult:
    """Edit with offloading: the picture must equal that of the plain edit, and the peak memory the counted one."""
    if not setup.is_gpu:
        raise SkippedCheck("needs a GPU")
    pipe = _pipeline(setup)
    plain = run_edit(pipe.to(setup.device), num_inference_steps=1)
    pipe.to("cpu")
    torch.cuda.empty_cache()
    enable = {"model": pipe.enable_model_cpu_offload, "sequential": pipe.enable_sequential_cpu_offload}[kind]
    enable(device=setup.device)
    reset_peak_memory(setup.device)
    started = now()
    offloaded = run_edit(pipe, num_inference_steps=1)
    difference = (offloaded - plain).abs().max().item()
    facts = CheckResult(
        f"pixels within {PICTURE_TOLERANCE:g} of the plain edit's",
        f"{difference:.4f}, {now() - started:.1f} s an edit of one step",
        difference <= PICTURE_TOLERANCE,
    )
    return _with_memory(facts, setup, f"{kind}_offload")


def check_sampling(setup: CheckSetup) -> CheckResult:
    """Compare a sampling step of our algorithm with the released one."""
    sizes = {"widths": (320, 640, 1280, 1280), "cross_attention_dim": 768} if setup.network == "full" else {}
    dtype = "bfloat16" if setup.is_gpu else "float32"
    latent_size = 64 if setup.network == "full" else 16
    config = SampleBenchConfig(**sizes, dtype=dtype, latent_sizes=(latent_size,), repeats=2)
    found = compare_steps(config, latent_size, "current", setup.device)
    released, ours = (1e3 * seconds for seconds in found.seconds)
    measured = f"{ours:.1f} ms a step, {found.ratio:.2f} times faster; latents differ by {found.difference:.1e}"
    return CheckResult(f"faster than the released algorithm ({released:.1f} ms)", measured, found.ratio > 1)


def _pipeline(setup: CheckSetup) -> MimicBrushPipeline:
    """Build a pipeline with random weights on the device; in bfloat16 on a GPU."""
    with setup.device:
        network = initialise(setup.network_config).eval()
    if setup.is_gpu:
        network.to_precision(torch.bfloat16)
    pipe = MimicBrushPipeline.from_network(network)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _with_memory(facts: CheckResult, setup: CheckSetup, way_name: str) -> CheckResult:
    """On a GPU, add the peak memory since the last reset, and compare it with the count for this way to edit."""
    if not setup.is_gpu:
        return facts
    peak = peak_memory(setup.device) / GIBIBYTE
    way = replace(WAYS[way_name], dtype=torch.bfloat16)
    counted = max(count_memory(shaped_network(setup.network_config), way).values()) / GIBIBYTE
    return CheckResult(
        f"{facts.expected}, {counted:.2f} GiB counted",
        f"{facts.measured}, {peak:.2f} GiB",
        facts.is_ok and is_as_counted(peak, counted),
    )
