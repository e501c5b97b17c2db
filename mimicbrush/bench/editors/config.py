"""Configuration of the benchmarks of MimicBrush's samplers, Text2LIVE, Motion Guidance and GenVideo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mimicbrush.diffusion.config import MAX_GUIDANCE, MAX_STEPS, TimestepSpacing
from mimicbrush.editors.text2live.settings import PRESETS
from mimicbrush.errors import Faults
from mimicbrush.training.config import ClockKind

SamplerName = Literal[
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "DEISMultistepScheduler",
]


@dataclass(frozen=True, kw_only=True)
class SamplerBenchConfig:
    """Compare diffusers' samplers in few steps with 50 steps of DDIM, by held-out edits of the small world whose true
    results are known."""

    weights: str = "asset:tiny"
    """Weights to edit with, of a network of 64 pixels: a training run, an exported folder, or asset:NAME."""
    output: Path = Path("runs/bench/samplers")
    """Folder for results.json and edits.png. The same command resumes after the last finished row."""
    samplers: tuple[SamplerName, ...] = get_args(SamplerName)
    """Samplers to compare, scheduler classes of diffusers."""
    spacings: tuple[TimestepSpacing, ...] = ("leading", "trailing")
    """Their timesteps, in diffusers' words."""
    steps: tuple[int, ...] = (4, 8, 12, 20)
    """Numbers of steps to compare."""
    guidance_scale: float | None = None
    """Guidance scale of all edits; null: the one that the weights recommend."""
    num_sources: int = 30
    """Number of held-out sources; each is edited with a reference of the same object and with one of another."""
    seed: int = 1
    """Seed for drawing sources and references; with 0 they would be those of the evaluation set."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.num_sources >= 1, f"num_sources is {self.num_sources}, expected at least 1")
        for name in ("samplers", "spacings", "steps"):
            faults.check(bool(getattr(self, name)), f"{name} is empty, expected at least one")
        faults.check(
            all(1 <= number < MAX_STEPS for number in self.steps),
            f"steps are {self.steps}, expected numbers from 1 to {MAX_STEPS - 1}",
        )
        faults.check(
            self.guidance_scale is None or 0 <= self.guidance_scale <= MAX_GUIDANCE,
            f"guidance_scale is {self.guidance_scale}, expected 0 to {MAX_GUIDANCE}",
        )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class NewMaterialConfig:
    """Render what fine-tuning is measured on: a few pairs of a material that no network of the small world has seen,
    held-out pairs of it, and edits whose true result shows it."""

    output: Path = Path("runs/new_material")
    """Folder for pairs/, heldout_pairs/ and set/, as data_prep/shard_pairs.py and evaluate.py read them."""
    material: str = "red zigzag"
    """Name of the material: a colour and a pattern of which one is unseen, such as red zigzag or purple dotted."""
    num_pairs: int = 10
    """Number of pairs to train on."""
    num_heldout_pairs: int = 12
    """Number of pairs for the held-out loss and previews."""
    num_sources: int = 30
    """Number of sources in the set; each is edited with a reference of the same object and with one of another."""
    size: int = 64
    """Side of the pictures in pixels."""
    seed: int = 0
    """Seed for drawing scenes."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("num_pairs", "num_sources"):
            faults.check(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, expected at least 1")
        faults.check(self.num_heldout_pairs >= 2, f"num_heldout_pairs is {self.num_heldout_pairs}, expected at least 2")
        faults.check(self.size >= 32 and self.size % 2 == 0, f"size is {self.size}, expected an even number from 32")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class LayerBenchConfig:
    """Compare the time of a step of Text2LIVE with the released algorithm, count its FLOPs by part, and estimate whole
    edits."""

    clip: str | None = None
    """CLIP in transformers' layout; null: one of the size of ViT-B/32 with random weights."""
    preset: str = "release"
    """Settings of the edit by name: release or small."""
    size: int = 512
    """Shorter side of the random picture, in pixels; the other one is a third longer."""
    whole: bool = False
    """Measure a step with the whole picture beside the crop, as every 75th one is."""
    repeats: int = 3
    """Number of timed steps of each algorithm, alternating, after one of warm-up."""
    clock: ClockKind = "cpu"
    """cpu: CPU seconds of all threads, which depend less on other programs; wall: elapsed time, required on a GPU."""
    device: str = "auto"
    """Device to measure, such as cpu or cuda; auto: a GPU if there is one, otherwise the CPU."""
    gpu_tflops: float = 100.0
    """TFLOP/s that a GPU reaches in such networks, for the estimate of its time; an A100 has 312 at its peak in
    float16."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.preset in PRESETS, f"preset is {self.preset}, expected {' or '.join(PRESETS)}")
        for name, least in (("size", 32), ("repeats", 1)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        faults.check(self.gpu_tflops > 0, f"gpu_tflops is {self.gpu_tflops}, expected a positive number")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class MotionBenchConfig:
    """Measure the error of Motion Guidance against the passes that it takes, with a diffusion model that is exact."""

    motion_set: Path = Path("runs/world/sets/motion")
    """The world's motion set, made by data_prep/render_world.py."""
    num_samples: int = 4
    """Number of samples: the first whose object is shifted."""
    rows: tuple[str, ...] = ()
    """Settings to measure, by their names in the table; none: all. `released` takes 5 500 passes an edit."""
    output: Path | None = None
    """JSON file for the edits; those that it holds already are not repeated."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.num_samples >= 1, f"num_samples is {self.num_samples}, expected at least 1")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class MotionMemoryConfig:
    """Count the memory of a guided step of Motion Guidance in the sizes of Stable Diffusion 1 and RAFT large."""

    size: int = 512
    """Side of the square picture, in pixels, a multiple of 64."""
    output: Path | None = None
    """JSON file for the results."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            self.size >= 128 and self.size % 64 == 0, f"size is {self.size}, expected a multiple of 64 from 128"
        )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class TuningMemoryConfig:
    """Count the memory of a tuning step of GenVideo in the sizes of stable-diffusion-2-1-unclip."""

    num_frames: int = 8
    """Frames that the network sees together."""
    size: int = 512
    """Side of the square frames, in pixels, a multiple of 64."""
    output: Path | None = None
    """JSON file for the results."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.num_frames >= 2, f"num_frames is {self.num_frames}, expected at least 2")
        faults.check(
            self.size >= 128 and self.size % 64 == 0, f"size is {self.size}, expected a multiple of 64 from 128"
        )
        faults.refuse()
