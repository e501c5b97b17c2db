"""Configuration of the demo's clips, stills and benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class RenderDemoConfig:
    """Render the videos, stills and benchmark of the demo from photographs of scikit-image."""

    output: Path = Path("runs/demo")
    """Folder for videos/, stills/ and benchmark/."""
    size: int = 256
    """Side of every picture, in pixels; an even number, which H.264 needs, of at least 64."""
    train_clips: int = 13
    """Number of clips of each training photograph."""
    heldout_clips: int = 7
    """Number of clips of each held-out photograph."""
    stills: int = 12
    """Number of stills of each training photograph that shows objects."""
    triplets: int = 12
    """Number of benchmark triplets of each kind."""
    seed: int = 0
    """Seed for drawing camera movements, light and colours."""
    workers: int = 0
    """Number of worker processes; 0: one for each usable CPU core. It does not change the result."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.size < 64 or self.size % 2:
            faults.add(f"size is {self.size}; expected an even number of 64 or more")
        for name in ("train_clips", "heldout_clips", "stills", "triplets", "workers"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}; expected 0 or more")
        faults.refuse()
