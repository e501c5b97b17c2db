"""Configuration of the judge's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.errors import UserError


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Train a classifier of objects and materials on renders of the small world."""

    output: Path
    """Folder for the finished judge, its card, and what a resumed run needs."""
    num_samples: int = 16_000
    """Number of rendered training pictures."""
    num_heldout: int = 2000
    """Number of rendered pictures on which the judge is measured."""
    picture_sizes: tuple[int, ...] = (64, 96)
    """Sides in pixels of the rendered pictures, in turn."""
    max_steps: int = 3000
    """Length of the training in optimiser steps."""
    batch_size: int = 64
    """Pictures in a step."""
    learning_rate: float = 4e-3
    """Peak learning rate of AdamW, with a one-cycle schedule."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of convolutions in training; bfloat16 is slow on processors that lack it."""
    checkpoint_every: int = 250
    """Steps between two states from which an interrupted run resumes."""
    seed: int = 0
    """Seed for pictures, weights and their order."""

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_heldout", "max_steps", "batch_size", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not self.picture_sizes or min(self.picture_sizes) < 32:
            raise UserError(f"picture_sizes is {self.picture_sizes}, expected sides of at least 32 pixels")
