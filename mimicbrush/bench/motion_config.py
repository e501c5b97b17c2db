"""Configuration of the benchmarks of Motion Guidance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mimicbrush.errors import Faults


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
