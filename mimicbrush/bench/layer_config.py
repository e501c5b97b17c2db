"""Configuration of the benchmark of Text2LIVE."""

from __future__ import annotations

from dataclasses import dataclass

from mimicbrush.editors.text2live.settings import PRESETS
from mimicbrush.errors import Faults
from mimicbrush.training.config import ClockKind


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
