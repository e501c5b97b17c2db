"""Configuration of the benchmark of atlases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class AtlasBenchConfig:
    """Compare the trained atlas with the published networks and settings: PSNR against CPU time, on a clip of the
    small world."""

    clips: list[int] = field(default_factory=lambda: [1, 3, 5, 7])
    """Numbers of the clips, of which the first is also given to the published networks; odd-numbered clips have
    steady light."""
    num_frames: int = 16
    """Number of frames."""
    width: int = 96
    """Width in pixels; the height is two thirds of it."""
    num_steps: int = 3000
    """Steps of the trained atlas."""
    published_seconds: float = 2400.0
    """CPU seconds for the published networks, without their warm-up; 2400 are 20 minutes of two cores."""
    warm_up_steps: int = 200
    """Steps in which the published maps learn the scaled coordinates of pixels; published: 100 for each frame."""
    flow: str = "asset:flow"
    """Weights of RAFT."""
    seed: int = 0
    """Seed of the clip and of both trainings."""
    output: Path = Path("runs/bench/atlas")
    """Folder for the state of each clip's trainings, from which the same command resumes."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, least in (("num_frames", 2), ("width", 24), ("num_steps", 1), ("warm_up_steps", 0)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        faults.check(
            bool(self.clips) and min(self.clips) >= 0, f"clips is {self.clips}, expected at least one number, from 0"
        )
        faults.check(self.published_seconds >= 0, f"published_seconds is {self.published_seconds}, expected at least 0")
        faults.refuse()
