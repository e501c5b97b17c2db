"""What each benchmark measures, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
"""Steps that are run and timed: the first, and two that stand for all later ones of an edit."""
PAIRS_FOR = {6: 4, 16: 12}
"""At most so many pairs are kept of a clip, by the number of its decoded frames."""
DEFAULT_CONFIG = Path(__file__).parents[2] / "configs" / "train" / "tiny.yaml"


@dataclass(frozen=True, kw_only=True)
class LoaderBenchConfig:
    """Count the pairs a second that the loader delivers from real shards, without a network."""

    train_config: Path = DEFAULT_CONFIG
    """The training config whose shards are read."""
    shards: Path | None = None
    """Shards to read instead."""
    size: int = 0
    """Pixels of the squares; 0: the config's."""
    batch_size: int = 0
    """Pairs a batch; 0: the config's."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers, one after the other."""
    seconds: float = 20.0
    """Of each, after a batch of every worker."""
    needed: float = 30.0
    """Images a second that the GPU trains on."""
    cores: int = 8
    """Of the machine for each GPU."""

    def __post_init__(self) -> None:
        if not self.workers or min(self.workers) < 1:
            raise ValueError(f"workers are {self.workers}, expected numbers from 1 on")
        if self.seconds <= 0 or self.needed <= 0 or self.cores < 1:
            raise ValueError("seconds, needed and cores must be positive")


@dataclass(frozen=True, kw_only=True)
class TrainBenchConfig:
    """Time training steps, with one option after the other switched on."""

    network: Literal["config", "full"] = "config"
    """The training config's network, or one of full size with random weights, which needs nothing from the hub."""
    train_config: Path | None = None
    """The training config that is measured; null: tiny.yaml, or mimicbrush.yaml with the full-size network."""
    shards: Path | None = None
    """Shards that the loader reads; null: the same random pairs in memory, again and again."""
    batch_size: int = 0
    """Pairs a step; 0: the config's."""
    num_workers: int = 0
    """Processes that read shards; 0: the config's."""
    rows: tuple[RowName, ...] = ()
    """What is measured, in order, each with the options of those before it; configured: the config's own options
    alone. Empty: all of them, on a CPU without bfloat16 and compilation."""
    repeats: int = 10
    """Timed steps of each, after three that are not."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    output: Path | None = None
    """A JSON file for the results; a Markdown table and a bar chart are written beside it."""

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats is {self.repeats}, expected at least 1")
        if self.batch_size < 0 or self.num_workers < 0:
            raise ValueError("batch_size and num_workers must be at least 0")
        if self.output and self.output.suffix != ".json":
            raise ValueError(f"output is {self.output}, expected a name that ends in .json")


@dataclass(frozen=True, kw_only=True)
class SampleBenchConfig:
    """Time a sampling step against the released algorithm, and whole edits with the tiny preset; weights are random."""

    widths: tuple[int, ...] = (64, 128, 256, 256)
    """Of both U-Nets; Stable Diffusion 1.5 has 320, 640, 1280, 1280."""
    cross_attention_dim: int = 256
    """Width of the image tokens; Stable Diffusion 1.5 has 768."""
    latent_sizes: tuple[int, ...] = (32, 64)
    """Sides of the latents; 512 pixels make 64."""
    num_edits: int = 1
    """In one batch; each has a conditional and an unconditional row."""
    num_inference_steps: int = 50
    """Steps of an edit, over which what is computed once is spread."""
    guidance_scale: float = 5.0
    """Above 1."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and latents."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    clock: ClockKind = "wall"
    """wall, or cpu: CPU seconds of the process, which other programs on the machine disturb less; for one thread, as
    with OMP_NUM_THREADS=1."""
    compile: bool = False
    """Compile our two U-Nets with Inductor."""
    repeats: int = 5
    """Timed runs of each, in turns, after one that is not timed."""

    def __post_init__(self) -> None:
        if self.guidance_scale <= 1:
            raise ValueError(f"guidance_scale is {self.guidance_scale}; the released code needs more than 1")
        for name in ("num_edits", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if any(size < 16 or size % 8 for size in self.latent_sizes):
            raise ValueError(f"latent_sizes are {self.latent_sizes}, expected multiples of 8 from 16 on")
        if self.num_inference_steps < NUM_RUN:
            raise ValueError(f"num_inference_steps is {self.num_inference_steps}, expected at least {NUM_RUN}")


@dataclass(frozen=True, kw_only=True)
class PreparationBenchConfig:
    """Time the preparation of rendered clips: CPU seconds, pairs, stages, two workers, memory."""

    clips: Path = Path("runs/bench/clips")
    """Folder of the clips (1080p and 4K, a keyframe every 250 and every 30 frames), rendered where they are missing."""
    frames: list[int] = field(default_factory=lambda: [6, 16])
    """Frames decoded of each clip: 6 (up to 4 pairs are kept) and 16 (up to 12)."""
    repeats: int = 1
    """Rounds in which all ways take turns on each clip; means are printed."""
    memory_clips: int = 500
    """Clips that one process prepares while its memory is watched; 0 leaves that out."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.frames) - PAIRS_FOR.keys())
        if unknown:
            raise ValueError(f"frames is {self.frames}; choose from {sorted(PAIRS_FOR)}")


@dataclass(frozen=True, kw_only=True)
class MetricsBenchConfig:
    """Time every metric, and compare all with the edit itself; weights are random."""

    picture_size: int = 512
    """Pixels of a side; the mask's box is the whole picture, the most that a metric can be given."""
    num_edits: int = 4
    """Timed edits, of which no two share a source or a reference, as those of several editors would."""
    num_inference_steps: int = 50
    """Of the edit that metrics are compared with, with guidance."""
    num_timed_steps: int = 0
    """So many of them are really taken by a network of full size, which needs 10 GiB; 0: they are only counted."""
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


@dataclass(frozen=True, kw_only=True)
class MemoryBenchConfig:
    """Measure the peak memory of an edit in float32, in bfloat16, with offload, and with a sliced or tiled VAE."""

    network: Size = "full"
    """Its sizes: the release's, or the tiny preset's. Weights are constant, from a temporary folder in half precision,
    5 GiB for the release's."""
    weights: str | None = None
    """Trained weights of these sizes, in place of constant ones."""
    ways: tuple[WayName, ...] = ()
    """Rows, in order; empty: all."""
    dtype: Precision = "auto"
    """Of the rows that are not named after theirs; auto is float16 on a GPU and float32 elsewhere, as in edits."""
    num_images: int = 1
    """Results of the edit, denoised together."""
    num_inference_steps: int = 1
    """Steps of the edit: memory is that of the first."""
    device: str = "auto"
    """auto takes a GPU where there is one. On a CPU offloading saves nothing, and is only counted."""
    output: Path | None = None
    """A JSON file for the results."""

    def __post_init__(self) -> None:
        for name in ("num_images", "num_inference_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.output and self.output.suffix != ".json":
            raise ValueError(f"output is {self.output}, expected a name that ends in .json")


@dataclass(frozen=True, kw_only=True)
class StartBenchConfig:
    """Measure the peak of host memory while a rank loads its network, frozen parts in bfloat16 at once or at last.

    Random weights from a temporary folder (8 GB for the release's sizes), in the formats of the presets' repositories.
    """

    network: Size = "full"
    """Its sizes: the release's, or the tiny preset's."""
    output: Path | None = None
    """A JSON file for the results."""


@dataclass(frozen=True, kw_only=True)
class GpuCheckConfig:
    """Check training, resuming, editing and offloading on a GPU: a table, and exit status 1 where a check fails.

    The same command again keeps what was ok, as long as code, settings and machine stay, and makes the rest.
    """

    checks: tuple[CheckName, ...] = ()
    """Which checks, in order; empty: all."""
    network: Size = "full"
    """Sizes of the networks that steps and edits are measured with: the release's, or the tiny preset's. Weights are
    random, nothing is fetched."""
    batch_size: int = 4
    """Pairs a step."""
    minutes: float = 10.0
    """After which no check starts that would, by what it takes on an H100, end later; it is named as skipped."""
    device: str = "cuda"
    """cpu tries with network tiny what does not need a GPU; checks that do are named as skipped."""
    output: Path = Path("runs/check_gpu")
    """Folder for the table: results.md, results.csv and results.json."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, expected at least 1")
        if self.minutes <= 0:
            raise ValueError(f"minutes is {self.minutes}, expected a positive number")
        if self.device == "cpu" and self.network == "full":
            raise ValueError("network is full, whose checks take a CPU hours; add --network tiny")
