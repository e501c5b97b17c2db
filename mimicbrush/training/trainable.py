"""What is trained, and what of the network a checkpoint can do without."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from mimicbrush.model.lora import add_lora
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.seeds import seed_of
from mimicbrush.training.config import RecipeConfig


def choose_trained(network: MimicBrushNetwork, recipe: RecipeConfig, *, seed: int) -> None:
    """Freeze what the recipe leaves alone, and add its adapters; changes the network in place.

    seed: adapters are drawn from it, each U-Net's from a stream of their own.
    """
    network.reference_unet.requires_grad_(recipe.train_reference)
    if recipe.reference_lora:
        add_lora(network.reference_unet, recipe.reference_lora, seed=seed_of(seed, "lora", "reference_unet"))
    if recipe.imitative_lora:
        add_lora(network.imitative_unet, recipe.imitative_lora, seed=seed_of(seed, "lora", "imitative_unet"))
        # Its input channels may be new, and then start at zero.
        network.imitative_unet.conv_in.requires_grad_(True)


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name, those that the optimiser changes."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def fetchable_tensors(network: MimicBrushNetwork, parts: Collection[str]) -> set[str]:
    """Names of what is frozen in these parts, which can be fetched again."""
    frozen = network.state_dict().keys() - trained_parameters(network).keys()
    return {name for name in frozen if name.split(".")[0] in parts}
