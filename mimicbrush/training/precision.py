"""Precision of the computation, and storage of frozen weights in half precision, which halves their memory."""

from __future__ import annotations

import torch
from torch import nn

from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.training.config import FrozenPrecision, RecipeConfig, TrainPrecision

COMPUTE_DTYPES: dict[TrainPrecision, torch.dtype] = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""Precision of the run -> dtype in which the U-Nets multiply matrices."""

FLOAT32_PART = "shape_map"
"""The part that always computes in float32, as in the release: the depth model."""


def frozen_precisions(recipe: RecipeConfig, precision: FrozenPrecision) -> dict[str, torch.dtype]:
    """Part -> dtype, for the parts that are wholly frozen and can be loaded in this precision."""
    frozen = ["autoencoder", "image_encoder"]
    if not recipe.train_reference and not recipe.reference_lora:
        frozen.append("reference_unet")
    return dict.fromkeys(frozen, getattr(torch, precision))


def store_frozen(network: MimicBrushNetwork, precision: FrozenPrecision) -> None:
    """Convert frozen parts to this precision, in which they then compute, too; changes the network in place.

    Trained parameters stay in float32. In a U-Net with adapters the frozen matrices are converted and the norms are
    not; such a U-Net computes under autocast only.
    """
    dtype = getattr(torch, precision)
    for name, part in network.named_children():
        trained = [parameter.requires_grad for parameter in part.parameters()]
        if name == FLOAT32_PART or all(trained):
            continue
        if any(trained):
            _store_matrices(part, dtype)
        else:
            nn.Module.to(part, dtype)  # diffusers' own `to` would warn of float32 modules


def _store_matrices(part: nn.Module, dtype: torch.dtype) -> None:
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            for parameter in module.parameters(recurse=False):
                if not parameter.requires_grad:
                    parameter.data = parameter.data.to(dtype)
