"""The parts of a network: loaded from the hub or a folder, drawn at random, or shaped only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, TypeVar

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation, PreTrainedModel

from mimicbrush.errors import UserError
from mimicbrush.files import shipped
from mimicbrush.model.conditioning import DepthShape, EdgeShape, ImageEncoder, ImageProjector, ShapeProjector
from mimicbrush.model.reference_attention import make_imitative, make_reference
from mimicbrush.model.weights.config import NUM_INPUT_CHANNELS, NetworkConfig, PartConfig
from mimicbrush.model.weights.hub import quiet_hub, reason_of

T = TypeVar("T", bound=nn.Module)


def build_parts(config: NetworkConfig, given: Collection[str]) -> dict[str, nn.Module]:
    """Every part by name: those in `given` have shapes but no weights, which the caller is about to put in."""
    autoencoder = _part("autoencoder", config, AutoencoderKL, empty="autoencoder" in given)
    reference = _part("reference_unet", config, UNet2DConditionModel, empty="reference_unet" in given)
    with _memory(empty="imitative_unet" in given):
        imitative = widen_conv_in(_imitative_start(config, reference, given), config.conv_in)
    clip = _part("image_encoder", config, CLIPVisionModelWithProjection, empty="image_encoder" in given)
    with _memory(empty="image_projector" in given):
        image_projector = ImageProjector(clip.config.hidden_size, imitative.config.cross_attention_dim)
    with _memory(empty="shape_projector" in given):
        channels = tuple(config.shape_channels)
        shape_projector = ShapeProjector(config.size, channels, in_channels=config.shape_in_channels)
    return {
        "imitative_unet": make_imitative(imitative, config.reference_blend),
        "reference_unet": make_reference(reference, config.reference_projections),
        "autoencoder": autoencoder,
        "image_encoder": ImageEncoder(clip),
        "image_projector": image_projector,
        "shape_map": _shape_map(config, given),
        "shape_projector": shape_projector,
    }


def load_part(name: str, config: PartConfig, kind: type[T]) -> T:
    """A pretrained part, or a random one of the given sizes; raises UserError where it is not to be had."""
    if config.pretrained is None:
        return _from_arguments(name, config, kind)
    # Only safetensors: nothing executable is ever loaded. Weights stored in half precision are computed in float32
    # unless autocast says otherwise.
    options = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    part, found = _from_source(name, config, kind.from_pretrained, **options)
    if found["missing_keys"]:
        missing = sorted(map(str, found["missing_keys"]))
        raise UserError(f"{name}: {config.pretrained} lacks {len(missing)} tensors, first {missing[0]}; copy it again")
    return part


def widen_conv_in(unet: UNet2DConditionModel, start: Literal["inherit", "random"]) -> UNet2DConditionModel:
    """Give a U-Net of 4, 9 or 13 input channels the 13 of the imitative one; changes it in place.

    `inherit` copies what is there, in order, and zeroes the new channels: at first they change nothing.
    """
    old = unet.conv_in
    if old.in_channels == NUM_INPUT_CHANNELS:
        return unet
    if old.in_channels not in (4, 9):
        raise UserError(f"imitative_unet: {old.in_channels} input channels; expected 4, 9 (inpainting) or 13")
    new = nn.Conv2d(NUM_INPUT_CHANNELS, old.out_channels, old.kernel_size, padding=old.padding)
    if start == "inherit":
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, : old.in_channels] = old.weight
            new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=NUM_INPUT_CHANNELS)
    return unet


def _part(name: str, config: NetworkConfig, kind: type[T], *, empty: bool) -> T:
    """The part of this field of the config; `empty`: its shapes only."""
    part: PartConfig = getattr(config, name)
    if not empty:
        return load_part(name, part, kind)
    with _memory(empty=True):
        return _from_arguments(name, part, kind) if part.pretrained is None else _sized_part(name, part, kind)


def _memory(*, empty: bool) -> AbstractContextManager:
    """Within, modules are made with memory for their parameters, or without."""
    return init_empty_weights() if empty else nullcontext()


def _sized_part(name: str, config: PartConfig, kind: type[T]) -> T:
    if issubclass(kind, PreTrainedModel):
        return kind(_from_source(name, config, kind.config_class.from_pretrained))
    return kind.from_config(_from_source(name, config, kind.load_config))


def _from_arguments(name: str, config: PartConfig, kind: type[T]) -> T:
    try:
        if issubclass(kind, PreTrainedModel):
            return kind(kind.config_class(**config.arguments))
        return kind(**config.arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}.arguments do not make a {kind.__name__}: {error}") from None


def _from_source(name: str, config: PartConfig, load: Callable[..., T], **options: object) -> T:
    if config.subfolder:
        options["subfolder"] = config.subfolder
    try:
        with quiet_hub():
            return load(shipped(config.pretrained), **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(shipped(config.pretrained), config.subfolder or "").is_dir():
            raise UserError(
                f"{name}: {Path(config.pretrained, config.subfolder or '')} could not be loaded ({reason_of(error)});"
                " convert the weights again, or copy the folder whole"
            ) from None
        inside = f" with a subfolder {config.subfolder}" if config.subfolder else ""
        raise UserError(
            f"{name}: {config.pretrained} could not be loaded ({reason_of(error)}); allow access to the hub, or give a"
            f" local folder{inside} in diffusers' or transformers' layout as network.{name}.pretrained, to train.py or"
            " to `python -m mimicbrush.model.weights convert`"
        ) from None


def _imitative_start(
    config: NetworkConfig, reference: UNet2DConditionModel, given: Collection[str]
) -> UNet2DConditionModel:
    if config.imitative_unet.pretrained is None and not config.imitative_unet.arguments:
        is_given = "imitative_unet" in given
        return UNet2DConditionModel.from_config(reference.config) if is_given else copy.deepcopy(reference)
    return _part("imitative_unet", config, UNet2DConditionModel, empty="imitative_unet" in given)


def _shape_map(config: NetworkConfig, given: Collection[str]) -> EdgeShape | DepthShape:
    if config.depth is None:
        return EdgeShape()
    depth_model = _part("depth", config, DepthAnythingForDepthEstimation, empty="shape_map" in given)
    return DepthShape(depth_model, config.depth_input)
