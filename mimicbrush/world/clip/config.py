"""Configuration of the small CLIP's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ClipTrainingConfig:
    """Train a small CLIP on captioned renders of the small world."""

    output: Path
    """Folder for the finished network in transformers' layout, its card, and what a resumed run needs."""
    start: Path | None = None
    """Folder of an earlier run, whose network is trained further; null: random weights."""
    num_samples: int = 30_000
    """Number of rendered training pictures, each with a caption."""
    num_heldout: int = 520
    """Number of rendered pictures of held-out combinations on which the network is measured."""
    num_phrases: int = 130
    """Number of held-out combinations whose phrases compete for each of these pictures."""
    image_size: int = 64
    """Side of the pictures in pixels."""
    patch_size: int = 8
    """Side of the patches in pixels."""
    width: int = 96
    """Channels of both encoders."""
    num_heads: int = 4
    """Attention heads of both encoders."""
    num_vision_layers: int = 4
    """Blocks of the image encoder."""
    num_text_layers: int = 2
    """Blocks of the text encoder."""
    projection_dim: int = 64
    """Channels of the embeddings."""
    attribute_weight: float = 1.0
    """Weight of the loss by which embeddings, and patches on the object, predict object, first colour and pattern."""
    attention_weight: float = 0.2
    """Weight of the loss that spreads the attention of the class token in the last blocks over the object."""
    adversarial_radius: float = 1.5
    """Largest L2 norm, in pixels of [0, 1], of the changes that raise the loss of a training picture before it is
    learned, so that gradients of the trained network draw visible patterns; 0: none."""
    max_steps: int = 3000
    """Length of the training in optimiser steps."""
    batch_size: int = 64
    """Pairs of picture and caption in a step; each picture is compared with all captions of the batch."""
    learning_rate: float = 1.5e-3
    """Peak learning rate of Muon and AdamW, with a one-cycle schedule."""
    weight_decay: float = 0.05
    """Weight decay of Muon and AdamW."""
    precision: Literal["bfloat16", "float32"] = "float32"
    """Precision of matrix products in training; bfloat16 is faster only on processors with AMX."""
    checkpoint_every: int = 250
    """Steps between two states from which an interrupted run resumes."""
    seed: int = 0
    """Seed for pictures, captions, weights and their order."""

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_heldout", "num_phrases", "max_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not 0 <= self.adversarial_radius < float("inf"):
            raise UserError(f"adversarial_radius is {self.adversarial_radius:g}, expected 0 or a positive number")
        if self.batch_size < 2:
            raise UserError(f"batch_size is {self.batch_size}, expected at least 2 pairs to compare")
        if self.image_size % self.patch_size:
            raise UserError(f"image_size is {self.image_size}, expected a multiple of patch_size, {self.patch_size}")
        if self.width % self.num_heads:
            raise UserError(f"width is {self.width}, expected a multiple of num_heads, {self.num_heads}")
