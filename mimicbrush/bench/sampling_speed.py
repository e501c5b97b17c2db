"""Time of a sampling step compared with the released algorithm, on the same weights and inputs, and of whole edits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.bench.config import NUM_RUN, TINY_PRESET, SampleBenchConfig
from mimicbrush.bench.released_sampling import sample_as_released, use_released_attention
from mimicbrush.config import load_config
from mimicbrush.device import choose_device, describe_device
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.machine import GIBIBYTE, peak_memory, reset_peak_memory
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import draw_noise, repeat_features, sample
from mimicbrush.model.weights.build import initialise
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.config import ClockKind, TrainConfig
from mimicbrush.training.timing import now

STRIDE = 8
NUM_TOKENS = 257


class Steps(NamedTuple):
    """Measurements of one run of a few sampling steps."""

    seconds: float
    """Seconds per step; the time of computations that happen once is spread over all steps of an edit."""
    latent: Tensor
    peak: float
    """Peak memory in GiB; NaN if the system does not report it."""


class StepComparison(NamedTuple):
    """Medians of the runs of both algorithms; pairs hold the released one first, then ours."""

    seconds: tuple[float, float]
    """Seconds per step."""
    ratio: float
    """Seconds of the released algorithm divided by ours."""
    difference: float
    """Largest difference of the last latents."""
    peaks: tuple[float, float]
    """Peak memory in GiB."""


def bench_sampling(config: SampleBenchConfig) -> None:
    """Print the time of a sampling step for each size and timestep of the reference, then the time of whole edits."""
    device = choose_device(config.device)
    print(f"{describe_device(device)}, {config.dtype}{', ours compiled' if config.compile else ''}")
    print(
        f"widths {config.widths}, {config.num_edits} edits at once, guidance {config.guidance_scale:g}; {config.clock}"
        f" time of a step of {config.num_inference_steps}, medians of {config.repeats} runs\n"
    )
    print("latents   reference at   released, ms   ours, ms   ratio   largest difference   peak GiB, both")
    for latent_size in config.latent_sizes:
        for timestep in ("current", "zero"):
            print(_line(latent_size, timestep, compare_steps(config, latent_size, timestep, device)))
    bench_edits(device=device, repeats=config.repeats, clock=config.clock)


def bench_network(config: SampleBenchConfig, latent_size: int, timestep: str) -> NetworkConfig:
    """Config of a network whose U-Nets have the given widths, and whose other parts are as small as possible."""
    unet = {
        "in_channels": 4,
        "block_out_channels": config.widths,
        "cross_attention_dim": config.cross_attention_dim,
        "sample_size": latent_size,
    }
    clip = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    autoencoder = {"block_out_channels": [8] * 4, "norm_num_groups": 8}
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    return NetworkConfig(
        size=latent_size * STRIDE,
        reference_unet=PartConfig(arguments=unet),
        autoencoder=PartConfig(arguments=autoencoder | blocks),
        image_encoder=PartConfig(arguments=clip | {"image_size": 224, "patch_size": 14}),
        reference_timestep=timestep,
    )


def random_conditions(network: MimicBrushNetwork, num_edits: int) -> Conditions:
    """Random conditions of as many edits."""
    generators = seeded_generators([100 + number for number in range(num_edits)])
    latents = [draw_noise(network, generators).to(network.imitative_unet.dtype) for _ in range(3)]
    background, shape, reference = latents
    tokens = (num_edits, NUM_TOKENS, network.imitative_unet.config.cross_attention_dim)
    image_tokens = torch.randn(tokens, generator=generators[0]).to(background)
    return Conditions((background[:, :1] > 0).to(background), background, shape, image_tokens, reference)


def guided_step(network: MimicBrushNetwork, *, num_images: int = 1) -> None:
    """Run the U-Nets as in one guided sampling step of one edit; on the meta device nothing is computed.

    num_images: number of results of the edit, which share its reference.
    """
    side = network.size // network.stride
    width = network.imitative_unet.config.cross_attention_dim
    with torch.device(network.device), torch.no_grad():
        latent, timestep = torch.zeros(1, 4, side, side), torch.zeros((), dtype=torch.long)
        tokens = torch.zeros(1, NUM_TOKENS, width, dtype=network.imitative_unet.dtype)
        conditions = Conditions(latent[:, :1], latent, latent, tokens, latent)
        num_rows = 2 * num_images
        rows = Conditions(*(torch.cat([value] * num_rows) for value in conditions))
        features = network.reference_features(latent, timestep, conditions.image_tokens)
        features = repeat_features(features, num_images)
        network.predict(torch.cat([latent] * num_rows), timestep, rows, features, twins=True)


def compare_steps(config: SampleBenchConfig, latent_size: int, timestep: str, device: torch.device) -> StepComparison:
    """Time both algorithms alternately, so that other load on the machine affects both alike."""
    dtype = getattr(torch, config.dtype)
    network = initialise(bench_network(config, latent_size, timestep)).eval().to(device, dtype)
    network.to(memory_format=torch.channels_last)
    conditions = random_conditions(network, config.num_edits)
    noise = draw_noise(network, seeded_generators(list(range(config.num_edits)))).to(dtype)
    edits = {
        "released": partial(_run, sample_as_released, use_released_attention(network), conditions, noise, config),
        "ours": partial(_run, sample, _compiled(network) if config.compile else network, conditions, noise, config),
    }
    steps: dict[str, list[Steps]] = {name: [] for name in edits}
    for _ in range(config.repeats + 1):
        for name, edit in edits.items():
            steps[name].append(edit())
    released, ours = steps["released"][1:], steps["ours"][1:]
    seconds, peaks = (
        tuple(statistics.median(getattr(run, field) for run in runs) for runs in (released, ours))
        for field in ("seconds", "peak")
    )
    return StepComparison(
        seconds=seconds,
        ratio=statistics.median(slow.seconds / fast.seconds for slow, fast in zip(released, ours, strict=True)),
        difference=(released[-1].latent - ours[-1].latent).abs().max().item(),
        peaks=peaks,
    )


def _line(latent_size: int, timestep: str, found: StepComparison) -> str:
    milliseconds = [1e3 * seconds for seconds in found.seconds]
    return (
        f"{latent_size:3d} x {latent_size:<3d} {timestep:>13s} {milliseconds[0]:14.1f} {milliseconds[1]:10.1f}"
        f" {found.ratio:7.2f} {found.difference:20.1e} {found.peaks[0]:10.2f} {found.peaks[1]:6.2f}"
    )


def _run(
    sample: Callable[..., Tensor],
    network: MimicBrushNetwork,
    conditions: Conditions,
    noise: Tensor,
    config: SampleBenchConfig,
) -> Steps:
    peak_is_known = reset_peak_memory(noise.device)
    stamps, latents = [now(config.clock)], []

    def on_step(step: int, latent: Tensor, *_: Tensor) -> None:
        stamps.append(now(config.clock))
        latents.append(latent)

    sample(
        network,
        conditions,
        noise,
        scheduler=make_scheduler(),
        num_inference_steps=NUM_RUN,
        guidance_scale=config.guidance_scale,
        on_step=on_step,
    )
    first, *later = (after - before for before, after in pairwise(stamps))
    rest = statistics.mean(later) * (config.num_inference_steps - 1)
    peak = peak_memory(noise.device) / GIBIBYTE if peak_is_known else math.nan
    return Steps((first + rest) / config.num_inference_steps, latents[-1], peak)


def _compiled(network: MimicBrushNetwork) -> MimicBrushNetwork:
    network.imitative_unet.compile(fullgraph=True)
    network.reference_unet.compile(fullgraph=True)
    return network


NUM_SAMPLES = 4
NUM_STEPS = 10


def bench_edits(*, device: torch.device, repeats: int, clock: ClockKind) -> None:
    """Print the time of edits with the tiny preset's network and random weights."""
    started = now(clock)
    network = initialise(load_config(TrainConfig, TINY_PRESET).network).eval()
    pipe = MimicBrushPipeline.from_network(network).to(device)
    pipe.set_progress_bar_config(disable=True)
    loaded = now(clock)
    first = _until_first_step(pipe, clock)
    print(
        f"\ntiny preset: built in {loaded - started:.2f} s; first step done {first:.2f} {clock} s after the call, cold"
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

    def note(*arguments: object) -> dict:
        moments.append(now(clock))
        return {}

    started = now(clock)
    _edit(pipe, callback_on_step_end=note)
    return moments[0] - started


def _seconds(run: Callable[[], None], clock: ClockKind) -> float:
    started = now(clock)
    run()
    return now(clock) - started
