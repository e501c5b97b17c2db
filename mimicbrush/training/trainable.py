"""Choose the trained parameters, and the tensors that a checkpoint may leave out."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from mimicbrush.model.lora import DISTILLED_LAYERS, add_lora
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.seeds import seed_of
from mimicbrush.training.config import RecipeConfig

ALWAYS_STORED = {"image_projector", "shape_projector"}
"""Parts that every checkpoint holds, trained or not."""


def choose_trained(network: MimicBrushNetwork, recipe: RecipeConfig, *, seed: int) -> None:
    """Freeze what the recipe does not train, and add its adapters; changes the network in place.

    seed: for the adapters; each U-Net has its own random stream.
    """
    if recipe.few_steps is not None:  # adapters alone: the teacher is the network without them
        network.requires_grad_(False)
        seed_of_adapters = seed_of(seed, "lora", "imitative_unet")
        add_lora(network.imitative_unet, recipe.imitative_lora, seed=seed_of_adapters, layers=DISTILLED_LAYERS)
        return
    network.reference_unet.requires_grad_(recipe.train_reference)
    if recipe.reference_lora:
        add_lora(network.reference_unet, recipe.reference_lora, seed=seed_of(seed, "lora", "reference_unet"))
    if recipe.imitative_lora:
        add_lora(network.imitative_unet, recipe.imitative_lora, seed=seed_of(seed, "lora", "imitative_unet"))
        # New input channels start at zero and have to be trained.
        network.imitative_unet.conv_in.requires_grad_(True)


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that the optimiser changes, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def fetchable_tensors(network: MimicBrushNetwork, parts: Collection[str]) -> set[str]:
    """Names of the frozen tensors in parts that can be fetched again, without the small parts of every checkpoint."""
    frozen = network.state_dict().keys() - trained_parameters(network).keys()
    return {name for name in frozen if name.split(".")[0] in set(parts) - ALWAYS_STORED}
