"""In which precision is computed, and frozen weights in half of it: half the memory for what is not trained."""

from __future__ import annotations

import torch
from torch import nn

from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.training.config import FrozenPrecision, Precision, RecipeConfig

COMPUTED_IN: dict[Precision, torch.dtype] = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""In which the U-Nets' matrices are multiplied."""

KEPT = "shape_map"
"""The depth model computes in float32, as in the release."""


def frozen_precisions(recipe: RecipeConfig, precision: FrozenPrecision) -> dict[str, torch.dtype]:
    """Part -> the dtype in which it is kept: those of which nothing is trained, and which can be loaded in it."""
    frozen = ["autoencoder", "image_encoder"]
    if not recipe.train_reference and not recipe.reference_lora:
        frozen.append("reference_unet")
    return dict.fromkeys(frozen, getattr(torch, precision))


def store_frozen(network: MimicBrushNetwork, precision: FrozenPrecision) -> None:
    """Keep frozen parts in this precision, in which they then compute, too; changes the network in place.

    Trained parameters stay in float32. Of a U-Net with adapters, the matrices below them change precision and the norms
    do not; such a U-Net computes under autocast only.
    """
    dtype = getattr(torch, precision)
    for name, part in network.named_children():
        trained = [parameter.requires_grad for parameter in part.parameters()]
        if name == KEPT or all(trained):
            continue
        if any(trained):
            _store_matrices(part, dtype)
        else:
            nn.Module.to(part, dtype)  # diffusers' own warns of float32 modules, of which there are none


def _store_matrices(part: nn.Module, dtype: torch.dtype) -> None:
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            for parameter in module.parameters(recurse=False):
                if not parameter.requires_grad:
                    parameter.data = parameter.data.to(dtype)
