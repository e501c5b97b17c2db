"""Configuration of the benchmarks of speed and memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.requests import Precision
from mimicbrush.training.config import ClockKind

Size = Literal["tiny", "full"]
RowName = Literal[
    "float32", "bfloat16", "channels_last", "frozen", "compile", "compile_encoders", "checkpointing", "configured"
]
WayName = Literal["float32", "bfloat16", "vae_slicing", "vae_tiling", "model_offload", "sequential_offload", "least"]
CheckName = Literal[
    "float32",
    "bfloat16",
    "channels_last",
    "frozen",
    "checkpointing",
    "train_reference",
    "lora",
    "adamw8bit",
    "waits",
    "resume",
    "edit",
    "offload_model",
    "offload_sequential",
    "sampling",
    "compile",
    "ranks",
    "all",
]
NUM_RUN = 3
"""Number of steps that are run and timed: the first, and two that represent all later steps of an edit."""
PAIRS_FOR = {6: 4, 16: 12}
"""Largest number of pairs kept from a clip, by the number of frames decoded from it."""
PRESETS = Path(__file__).parents[2] / "configs" / "train"
TINY_PRESET = PRESETS / "tiny.yaml"
FULL_PRESET = PRESETS / "mimicbrush.yaml"


@dataclass(frozen=True, kw_only=True)
class LoaderBenchConfig:
    """Measure how many pairs per second the data loader delivers from shards, without a network."""

    train_config: Path = TINY_PRESET
    """Training config that names the shards and the batches."""
    shards: str | Path | None = None
    """Folder of shards to read, or its address; null: the shards of the training config."""
    size: int = 0
    """Side of the square pictures, in pixels; 0: as in the training config."""
    batch_size: int = 0
    """Pairs in a batch; 0: as in the training config."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of worker processes to measure, one after another."""
    seconds: float = 20.0
    """Seconds to measure each number of workers, after a warm-up of some batches."""
    needed: float = 30.0
    """Pairs per second that one GPU trains on; with `cores` it gives the number of GPUs that can be fed."""
    cores: int = 8
    """CPU cores of the training machine that are used to feed GPUs."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            bool(self.workers) and min(self.workers) >= 1, f"workers is {self.workers}, expected numbers from 1 on"
        )
        for name in ("seconds", "needed", "cores"):
            faults.check(getattr(self, name) > 0, f"{name} is {getattr(self, name)}, expected a positive number")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class TrainBenchConfig:
    """Measure the time and memory of training steps while options are switched on one by one."""

    network: Literal["config", "full"] = "config"
    """config: the network of the training config; full: the released sizes with random weights, without downloads."""
    train_config: Path | None = None
    """Training config to measure; null: configs/train/tiny.yaml, or mimicbrush.yaml with network full."""
    shards: Path | None = None
    """Folder of shards to read; null: use the same random pairs in every step."""
    batch_size: int = 0
    """Pairs in a batch; 0: as in the training config."""
    num_workers: int = 0
    """Processes that read shards; 0: as in the training config."""
    rows: tuple[RowName, ...] = ()
    """Options to measure, in order. Each row keeps the options of the rows before it; `configured` measures the
    training config unchanged. Empty: all rows, but on a CPU none with bfloat16 or compilation."""
    repeats: int = 10
    """Number of timed steps in each row, after three steps of warm-up."""
    device: str = "auto"
    """Device to measure, such as cpu or cuda; auto: a GPU if there is one, otherwise the CPU."""
    output: Path | None = None
    """JSON file for the results; a Markdown table and a bar chart are written beside it."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, least in (("repeats", 1), ("batch_size", 0), ("num_workers", 0)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        if self.output and self.output.suffix != ".json":
            faults.add(f"output is {self.output}, expected a name that ends in .json")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class SampleBenchConfig:
    """Compare the time of a sampling step with the released algorithm, and time edits with the tiny preset; weights are
    random."""

    widths: tuple[int, ...] = (64, 128, 256, 256)
    """Channels of the levels of both U-Nets; Stable Diffusion 1.5 has 320, 640, 1280, 1280."""
    cross_attention_dim: int = 256
    """Size of an image token; Stable Diffusion 1.5 has 768."""
    latent_sizes: tuple[int, ...] = (32, 64)
    """Sides of the latents to measure, multiples of 8 from 16; pictures of 512 pixels have latents of 64."""
    num_edits: int = 1
    """Number of edits in a batch; each has a conditional and an unconditional row."""
    num_inference_steps: int = RecommendedSettings.num_inference_steps
    """Sampling steps of an edit; computations that happen once per edit are divided by it."""
    guidance_scale: float = RecommendedSettings.guidance_scale
    """Strength of classifier-free guidance, above 1."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of weights and latents."""
    device: str = "auto"
    """Device to measure, such as cpu or cuda; auto: a GPU if there is one, otherwise the CPU."""
    clock: ClockKind = "wall"
    """wall: elapsed time; cpu: CPU seconds of the process, which depend less on other programs. Use cpu with one thread
    (OMP_NUM_THREADS=1)."""
    compile: bool = False
    """Compile our two U-Nets with torch.compile (Inductor)."""
    repeats: int = 5
    """Number of timed runs of each algorithm, alternating, after one run of warm-up."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.guidance_scale <= 1:
            faults.add(f"guidance_scale is {self.guidance_scale}; the released code needs more than 1")
        for name, least in (("num_edits", 1), ("repeats", 1), ("num_inference_steps", NUM_RUN)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        if any(size < 16 or size % 8 for size in self.latent_sizes):
            faults.add(f"latent_sizes are {self.latent_sizes}, expected multiples of 8 from 16 on")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class PreparationBenchConfig:
    """Measure the preparation of rendered clips: CPU seconds by stage, pairs, two workers, and memory."""

    clips: Path = Path("runs/bench/clips")
    """Folder of test clips (1080p and 4K, a keyframe every 250 and every 30 frames); missing ones are rendered."""
    frames: list[int] = field(default_factory=lambda: [6, 16])
    """Numbers of frames to decode from each clip: 6 (at most 4 pairs are kept) and 16 (at most 12)."""
    repeats: int = 1
    """Number of rounds in which all implementations take turns on each clip; their means are printed."""
    memory_clips: int = 500
    """Number of clips that one process prepares while its memory is measured; 0: no measurement."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.frames) - PAIRS_FOR.keys())
        if unknown:
            raise ValueError(f"frames is {self.frames}; choose from {sorted(PAIRS_FOR)}")


@dataclass(frozen=True, kw_only=True)
class MetricsBenchConfig:
    """Measure the time of every metric, and compare all of them with the edit itself; weights are random."""

    picture_size: int = 512
    """Side of the pictures, in pixels; the mask covers the whole picture, which is the most expensive case."""
    num_edits: int = 4
    """Number of timed edits; no two share a source or a reference."""
    num_inference_steps: int = RecommendedSettings.num_inference_steps
    """Sampling steps of the guided edit that the metrics are compared with."""
    num_timed_steps: int = 0
    """Number of sampling steps to run and time with a network of the released sizes, which needs 10 GiB; 0: estimate
    their time from their number of operations."""
    networks: Size = "full"
    """Sizes of the metrics' networks; tiny is for testing this command."""
    clock: ClockKind = "cpu"
    """cpu: CPU seconds of all threads; wall: elapsed time, required on a GPU."""
    device: str = "auto"
    """Device to measure, such as cpu or cuda; auto: a GPU if there is one, otherwise the CPU."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, least in (("num_edits", 1), ("picture_size", 32), ("num_inference_steps", 1)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class MemoryBenchConfig:
    """Measure the peak memory of an edit in float32, in bfloat16, with offloading, and with a sliced or tiled VAE."""

    network: Size = "full"
    """Sizes of the network: full, the released ones, or tiny. Constant weights in half precision are written to a
    temporary folder: 5 GiB for full."""
    weights: str | None = None
    """Trained weights to use instead; their sizes must be those of `network`."""
    ways: tuple[WayName, ...] = ()
    """Rows to measure, in order; empty: all."""
    dtype: Precision = "auto"
    """Precision of all rows except float32 and bfloat16; auto: float16 on a GPU and float32 elsewhere, as in edits."""
    num_images: int = 1
    """Number of results of the edit, which are denoised together."""
    num_inference_steps: int = 1
    """Sampling steps of the edit; more than 1 does not change the memory."""
    device: str = "auto"
    """Device to measure; auto: a GPU if there is one. On a CPU, offloading saves nothing, and its effect is only
    calculated."""
    output: Path | None = None
    """JSON file for the results."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("num_images", "num_inference_steps"):
            faults.check(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, expected at least 1")
        if self.output and self.output.suffix != ".json":
            faults.add(f"output is {self.output}, expected a name that ends in .json")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class StartBenchConfig:
    """Measure the peak host memory of loading a network for training: frozen parts in bfloat16 from the start, or
    converted after loading.

    Random weights are written to a temporary folder (8 GB for the released sizes), in the formats of the presets'
    repositories.
    """

    network: Size = "full"
    """Sizes of the network: full, the released ones, or tiny. Random weights are written to a temporary folder: 8 GB
    for full."""
    output: Path | None = None
    """JSON file for the results."""


@dataclass(frozen=True, kw_only=True)
class GpuCheckConfig:
    """Check training, resuming, editing and offloading on a GPU; the exit status is 1 if a check fails.

    If code, settings and machine are unchanged, running the same command again keeps the checks that passed and runs
    the others.
    """

    checks: tuple[CheckName, ...] = ()
    """Checks to run, in order; empty: all."""
    network: Size = "full"
    """Sizes of the networks in training steps and edits: full, the released ones, or tiny. Weights are random, nothing
    is downloaded."""
    batch_size: int = 4
    """Pairs in a batch of training steps."""
    minutes: float = 10.0
    """Time limit in minutes: checks that would exceed it, by their time on an H100, are skipped and listed."""
    device: str = "cuda"
    """Device to check; cpu, with network tiny, runs the checks that need no GPU and lists the others as skipped."""
    output: Path = Path("runs/check_gpu")
    """Folder for results.md, results.csv and results.json."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.batch_size >= 1, f"batch_size is {self.batch_size}, expected at least 1")
        faults.check(self.minutes > 0, f"minutes is {self.minutes}, expected a positive number")
        if self.device == "cpu" and self.network == "full":
            faults.add("network is full, whose checks take hours on a CPU; add --network tiny")
        faults.refuse()
