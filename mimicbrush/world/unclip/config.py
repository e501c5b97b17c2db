"""Configuration of the small Stable unCLIP's training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class UnclipTrainingConfig:
    """Train the U-Net of a small Stable unCLIP on captioned renders of the small world."""

    output: Path
    """Folder for the finished model in the layout of stable-diffusion-2-1-unclip, its card, a contact sheet of its
    samples, and what a resumed run needs."""
    start: str | None = None
    """Model whose U-Net is trained further, such as an earlier run; its autoencoder and its encoders take the place of
    those below. null: random weights."""
    autoencoder: str = "asset:autoencoder"
    """Autoencoder of the latents, in diffusers' layout; it is frozen and becomes a part of the model."""
    clip: str = "asset:clip"
    """CLIP whose encoders compute the conditions, in transformers' layout; they are frozen and become parts, too."""
    num_samples: int = 30_000
    """Number of rendered training pictures, each with a caption."""
    num_heldout: int = 200
    """Number of rendered pictures of held-out combinations on which the model is measured."""
    num_inverted: int = 32
    """Number of these pictures that are inverted and reconstructed."""
    image_size: int = 64
    """Side of the pictures in pixels."""
    channels: tuple[int, ...] = (32, 96, 96)
    """Channels of the U-Net's levels, from the latents' own resolution on; the last one attends to the text."""
    max_tokens: int = 24
    """Longest caption in tokens, with its two ends."""
    max_steps: int = 4600
    """Length of the training in optimiser steps."""
    batch_size: int = 32
    """Pictures in a step."""
    learning_rate: float = 1.5e-3
    """Peak learning rate of Muon and AdamW, with a one-cycle schedule."""
    weight_decay: float = 0.01
    """Weight decay of Muon and AdamW."""
    text_drop_prob: float = 0.3
    """Probability that a picture is trained without its caption."""
    image_drop_prob: float = 0.5
    """Probability that a picture is trained without its image embedding, independent of the caption."""
    cutout_prob: float = 0.3
    """Probability that an image embedding is that of the object alone before white, which shows no background."""
    naming_weight: float = 0.05
    """Weight of the loss of naming the object, its colour and its pattern at every place of the picture from features
    of the U-Net; 0: the U-Net does not learn from it."""
    precision: Literal["bfloat16", "float32"] = "float32"
    """Precision of convolutions in training; bfloat16 is faster only on processors with AMX."""
    num_inference_steps: int = 20
    """Sampling steps of measured samples."""
    guidance_scale: float = 3.0
    """Strength of classifier-free guidance of measured samples."""
    checkpoint_every: int = 250
    """Steps between two states from which an interrupted run resumes."""
    seed: int = 0
    """Seed for pictures, captions, noise, weights and their order."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("num_samples", "num_heldout", "num_inverted", "max_steps", "batch_size", "checkpoint_every"):
            faults.check(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("text_drop_prob", "image_drop_prob", "cutout_prob"):
            faults.check(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name):g}, expected 0 to 1")
        faults.check(
            0 <= self.naming_weight < math.inf, f"naming_weight is {self.naming_weight:g}, expected at least 0"
        )
        are_possible = len(self.channels) >= 2 and all(each % 8 == 0 for each in self.channels)
        faults.check(are_possible, f"channels is {self.channels}, expected two or more multiples of 8")
        faults.refuse()
