"""Low-rank adapters (LoRA): W + B A in attention's projections or further layers, W frozen, B and A trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
"""The linear layers of an attention, which get adapters."""

DISTILLED_LAYERS = (
    *PROJECTIONS,
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "time_emb_proj",
)
"""Layers that get adapters where a network is distilled for few steps, those of LCM-LoRA (arXiv 2311.05556)."""

BASE, DOWN, UP = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"
"""peft's names of a layer's W, A (rank, in) and B (out, rank); in a convolution A has its kernel, and B is 1 x 1."""


def add_lora(
    unet: UNet2DConditionModel, rank: int, *, seed: int, layers: Sequence[str] = PROJECTIONS
) -> UNet2DConditionModel:
    """Freeze the U-Net and add trainable adapters of this rank to its attentions; changes it in place.

    B starts at zero, so nothing changes at first; A is drawn from `seed`. B A is not scaled: alpha equals the rank.
    layers: ends of the names of the layers that get adapters.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers)))
    return unet


@contextmanager
def without_adapters(unet: UNet2DConditionModel) -> Iterator[None]:
    """Let the U-Net predict as it did before adapters were added to it."""
    unet.disable_adapters()
    try:
        yield
    finally:
        unet.enable_adapters()


def has_adapters(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of a U-Net with adapters, or of its adapters alone."""
    return any(name.endswith(DOWN) for name in tensors)


def lacks_base(tensors: Mapping[str, Tensor]) -> bool:
    """Whether there are adapters without the weights that they change."""
    return any(name.endswith(DOWN) and _weight(name, BASE) not in tensors for name in tensors)


def fold(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold adapters into a U-Net's tensors: W + B A under the plain name, in float32.

    W may have peft's name or the plain one.
    """
    folded = {name.replace(BASE, "."): tensor for name, tensor in tensors.items() if ".lora_" not in name}
    for name in tensors:
        if name.endswith(DOWN):
            layer = name.removesuffix(DOWN)
            weight = folded[_weight(name, ".")]
            folded[_weight(name, ".")] = add_low_rank(weight, up=tensors[layer + UP], down=tensors[name])
    return folded


def add_low_rank(weight: Tensor, *, up: Tensor, down: Tensor, scale: float = 1.0) -> Tensor:
    """Compute W + scale B A in float32: W (out, in), B (out, rank), A (rank, in); or those of a convolution."""
    flat, low, high = (each.float().flatten(1) for each in (weight, down, up))
    return torch.addmm(flat, high, low, alpha=scale).view(weight.shape)


def _weight(adapter: str, between: str) -> str:
    """Name of the weight that an adapter's A belongs to."""
    return f"{adapter.removesuffix(DOWN)}{between}weight"
