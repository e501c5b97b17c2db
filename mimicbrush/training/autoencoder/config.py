"""Configuration of the small autoencoder's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.data.config import AugmentConfig


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Train a small autoencoder (AutoencoderKL) on crops of the pictures in shards."""

    output: Path
    """Folder for the finished autoencoder, in diffusers' layout."""
    shards: list[str | Path]
    """Folders of shards to train on."""
    heldout: str | Path
    """Folder of shards on which the reconstruction is measured."""
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
    judged_size: int = 128
    """Side of the square pictures on which the reconstruction is measured, in pixels."""
    min_scale: float = 0.3
    """Smallest factor by which a picture is resized before it is cropped; the largest is 1."""
    batch_size: int = 16
    """Crops in a training batch."""
    max_steps: int = 5000
    """Length of the training in optimiser steps."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW, with a one-cycle schedule."""
    gradient_weight: float = 0.5
    """Weight of the loss on image gradients, which keeps edges sharp."""
    kl_weight: float = 1e-6
    """Weight of the KL divergence of the latent from a standard normal distribution."""
    seed: int = 0
    """Seed for weights, data order and crops."""

    def __post_init__(self) -> None:
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"min_scale is {self.min_scale}, expected more than 0, at most 1")
