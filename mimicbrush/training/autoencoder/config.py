"""Configuration of the small autoencoder's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.data.config import AugmentConfig, SourceConfig
from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class HeldoutPictures:
    """Pictures on which the reconstruction is measured."""

    folder: Path
    """Folder of shards, or of picture files at any depth."""
    size: int = 128
    """Side in pixels of the squares to which they are scaled."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Train a small autoencoder (AutoencoderKL) on crops of the pictures in shards."""

    output: Path
    """Folder for the finished autoencoder, in diffusers' layout, its card, and what a resumed run needs."""
    sources: list[SourceConfig]
    """Folders of shards to train on, with their shares of the crops."""
    heldout: dict[str, HeldoutPictures]
    """Pictures that training never sees, by a name for the card."""
    arguments: dict
    """Sizes of the network, as arguments of diffusers' AutoencoderKL."""
    start: str | None = None
    """Autoencoder to continue from, a folder in diffusers' layout; null: random weights."""
    colours: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(brightness=0.3, contrast=0.3, saturation=0.9, hue=0.5, colour_prob=0.7)
    )
    """Colour changes of the crops, so that colours missing from the pictures are learned too; the geometric options
    have no effect here."""
    crop: int = 64
    """Side of a square training crop, in pixels."""
    min_scale: float = 0.3
    """Smallest factor by which a picture is resized before it is cropped; the largest is 1."""
    batch_size: int = 16
    """Crops in a training batch."""
    max_steps: int = 5000
    """Length of the training in optimiser steps."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW, with a one-cycle schedule."""
    squared_weight: float = 5.0
    """Weight of the mean squared difference beside the mean absolute one, which has the weight 1."""
    gradient_weight: float = 0.5
    """Weight of the loss on image gradients, which keeps edges sharp."""
    kl_weight: float = 1e-6
    """Weight of the KL divergence of the latent from a standard normal distribution."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of convolutions in training; bfloat16 is slow on processors that lack it."""
    checkpoint_every: int = 250
    """Steps between two states from which an interrupted run resumes."""
    seed: int = 0
    """Seed for weights and crops."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("crop", "batch_size", "max_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 1")
        if not 0 < self.min_scale <= 1:
            faults.add(f"min_scale is {self.min_scale}, expected more than 0, at most 1")
        if not self.sources or not self.heldout:
            faults.add("sources and heldout must each name at least one folder")
        faults.refuse()
