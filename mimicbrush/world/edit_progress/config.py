"""Configuration of the measurement of checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mimicbrush.errors import UserError

STAGES = (
    "1_moved",
    "2_small_poses",
    "3_large_poses",
    "4_other_objects",
    "5_more_photographs",
    "6_once_more",
    "7_more_clips",
)


@dataclass(frozen=True, kw_only=True)
class EditProgressConfig:
    """Measure every kept checkpoint of one training, which may consist of several runs in turn."""

    output: Path
    """Folder for progress.csv, progress.png and a contact sheet of each checkpoint."""
    runs: tuple[Path, ...] = tuple(Path("runs/mimicbrush_world", name) for name in STAGES)
    """Folders of the runs, in the order in which each began from the weights of the one before (the last one of
    `asset:tiny` from the mean of two); runs that have not begun are left out."""
    num_sources: int = 24
    """Number of held-out sources; each is edited with a reference of the same object and with one of another."""
    num_inference_steps: int = 20
    """Sampling steps of an edit."""
    guidance_scale: float = 2.0
    """Guidance scale of an edit."""
    seed: int = 1
    """Seed for drawing sources and references; with 0 they would be those of the evaluation set, which is kept for the
    end."""

    def __post_init__(self) -> None:
        if self.num_sources < 1:
            raise UserError(f"num_sources is {self.num_sources}, expected at least 1")
        if not self.runs:
            raise UserError("runs is empty, expected at least one folder of a training run")
