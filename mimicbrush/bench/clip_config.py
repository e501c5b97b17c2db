"""Configuration of the benchmark of tuning on a clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mimicbrush.errors import Faults


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
