"""Configuration of the small RAFT's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.errors import UserError
from mimicbrush.flow.config import RaftConfig

NETWORK = RaftConfig(
    encoder_channels=(24, 24, 48, 64),
    encoder_strides=(1, 2, 1),
    feature_channels=64,
    hidden_channels=64,
    context_channels=32,
    has_batch_norm=False,
    num_levels=3,
    radius=3,
    correlation_channels=(64,),
    flow_channels=(32, 32),
    motion_channels=66,
    is_separable=False,
    head_channels=64,
    upsampling_channels=64,
)
"""A RAFT for pictures of 64 to 128 pixels: its cells are 4 pixels wide, and pictures need not be padded from 32."""


@dataclass(frozen=True, kw_only=True)
class FlowTrainingConfig:
    """Train a small RAFT on moving objects of the small world and on warped photographs."""

    output: Path
    """Folder for the finished network, its card, and what a resumed run needs."""
    start: Path | None = None
    """Folder of an earlier run, whose network is trained further; null: random weights."""
    network: RaftConfig = field(default_factory=lambda: NETWORK)
    """Sizes of the network."""
    num_samples: int = 20_000
    """Number of training pairs: half of an object that moves by itself, a quarter of one that moves with the camera,
    and a quarter of warped photographs."""
    num_heldout: int = 200
    """Number of pairs of each kind on which the network is measured."""
    picture_size: int = 64
    """Side of the pictures in pixels."""
    num_iterations: int = 4
    """Iterations of the network in training."""
    object_weight: float = 1.0
    """Weight of the error on the moving object, beside the error of the whole picture."""
    max_steps: int = 7000
    """Length of the training in optimiser steps."""
    batch_size: int = 8
    """Pairs in a step."""
    learning_rate: float = 1.5e-3
    """Peak learning rate of AdamW, with a one-cycle schedule."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of convolutions in training; bfloat16 is slow on processors that lack it."""
    checkpoint_every: int = 250
    """Steps between two states from which an interrupted run resumes."""
    seed: int = 0
    """Seed for pairs, weights and their order."""

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_heldout", "num_iterations", "max_steps", "batch_size", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.picture_size < self.network.min_side:
            raise UserError(f"picture_size is {self.picture_size}, expected at least {self.network.min_side}")
