"""Build the parts of a network: loaded from their sources, drawn at random, or without memory for their weights."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation, PreTrainedModel

from mimicbrush.errors import UserError
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.local_networks import load_files, require_whole
from mimicbrush.hub.locations import is_single_file
from mimicbrush.hub.part_files import PartFiles, find_part
from mimicbrush.hub.weight_files import DIFFUSERS, TRANSFORMERS
from mimicbrush.model.conditioning import DepthShape, EdgeShape, ImageEncoder, ImageProjector, ShapeProjector
from mimicbrush.model.config import NUM_INPUT_CHANNELS, NetworkConfig, PartConfig
from mimicbrush.model.reference_attention import make_imitative, make_reference
from mimicbrush.model.weights.find import advise_on_part, pretrained_parts
from mimicbrush.model.weights.single_file import load_single_file, read_single_file, single_file_config

T = TypeVar("T", bound=nn.Module)

log = logging.getLogger(__name__)

TRAINED_PARTS = ("imitative_unet", "image_projector", "shape_projector")
"""Parts that all trained weights hold."""
FROZEN_PARTS = ("autoencoder", "image_encoder", "shape_map")
"""Parts that are never trained."""
KINDS = {
    "autoencoder": AutoencoderKL,
    "reference_unet": UNet2DConditionModel,
    "imitative_unet": UNet2DConditionModel,
    "image_encoder": CLIPVisionModelWithProjection,
    "depth": DepthAnythingForDepthEstimation,
}
"""Field of NetworkConfig -> the class of the part."""


def build_parts(
    config: NetworkConfig, empty: Collection[str], precisions: Mapping[str, torch.dtype] = MappingProxyType({})
) -> dict[str, nn.Module]:
    """Build every part: name -> module. Parts in `empty` get no memory; the caller puts their weights in.

    precisions: part -> the precision to load it in, without a float32 copy where that is possible.
    Raises UserError that names all parts that cannot be loaded.
    """
    try:
        return _build_parts(config, empty, precisions)
    except UserError as error:
        missing = [fault for fault in _find_missing(config) if fault not in error.faults]
        if missing:
            raise UserError(*error.faults, *missing) from None
        raise


def _build_parts(
    config: NetworkConfig, empty: Collection[str], precisions: Mapping[str, torch.dtype]
) -> dict[str, nn.Module]:

    def part(name: str, kind: type[T]) -> T:
        return _part(name, config, kind, empty=name in empty, dtype=precisions.get(name, torch.float32))

    autoencoder = part("autoencoder", AutoencoderKL)
    if _is_copied(config) and "imitative_unet" not in empty:
        # The copy is trained from the reference's full precision.
        reference = _part("reference_unet", config, UNet2DConditionModel, empty="reference_unet" in empty)
    else:
        reference = part("reference_unet", UNet2DConditionModel)
    with _memory(empty="imitative_unet" in empty):
        imitative = widen_conv_in(_initial_imitative(config, reference, empty), config.conv_in)
    clip = part("image_encoder", CLIPVisionModelWithProjection)
    with _memory(empty="image_projector" in empty):
        image_projector = ImageProjector(clip.config.hidden_size, imitative.config.cross_attention_dim)
    with _memory(empty="shape_projector" in empty):
        channels = tuple(config.shape_channels)
        shape_projector = ShapeProjector(config.size, channels, in_channels=config.shape_in_channels)
    return {
        "imitative_unet": make_imitative(imitative, config.reference_blend),
        "reference_unet": make_reference(reference, config.reference_projections),
        "autoencoder": autoencoder,
        "image_encoder": ImageEncoder(clip),
        "image_projector": image_projector,
        "shape_map": _shape_map(config, empty),
        "shape_projector": shape_projector,
    }


def load_part(name: str, config: PartConfig, kind: type[T], *, dtype: torch.dtype = torch.float32) -> T:
    """Load a pretrained part, or draw one of the configured sizes; raises UserError where it cannot be loaded.

    dtype: precision of the loaded weights, whatever precision they are stored in.
    """
    if config.pretrained is None:
        part = _from_arguments(name, config, kind)
        return part if dtype == torch.float32 else nn.Module.to(part, dtype)
    try:
        return load_pretrained(name, config, kind, dtype=dtype)
    except UserError as error:
        raise UserError(f"{name}: {error}; {advise_on_part(name, config)}") from None


def load_pretrained(name: str, config: PartConfig, kind: type[T], *, dtype: torch.dtype) -> T:
    """Load a pretrained part; logs a line where another file than the configured one is used.

    name: the part's name, for that line. Raises UserError where it cannot be loaded.
    """
    if is_single_file(config.pretrained):
        part = load_single_file(Path(config.pretrained), kind, arguments=config.arguments, dtype=dtype)
        return require_whole(part, config.pretrained, missing=())
    found = _find(config, kind)
    for note in found.notes:
        log.warning("%s: %s", name, note)
    return load_files(found, kind, dtype)


def widen_conv_in(unet: UNet2DConditionModel, start: Literal["inherit", "random"]) -> UNet2DConditionModel:
    """Give a U-Net of 4, 9 or 13 input channels the 13 of the imitative one; changes it in place.

    `inherit` copies the existing channels, in order, and sets the new ones to zero: at first they change nothing.
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


def _part(name: str, config: NetworkConfig, kind: type[T], *, empty: bool, dtype: torch.dtype = torch.float32) -> T:
    """Build the part of this field of the config; `empty`: without memory for its weights."""
    part: PartConfig = getattr(config, name)
    if not empty:
        return load_part(name, part, kind, dtype=dtype)
    with _memory(empty=True):
        return _from_arguments(name, part, kind) if part.pretrained is None else _sized_part(name, part, kind)


def _memory(*, empty: bool) -> AbstractContextManager:
    """Context in which modules are made without memory for their parameters, if `empty`."""
    return init_empty_weights() if empty else nullcontext()


def _sized_part(name: str, config: PartConfig, kind: type[T]) -> T:
    """Build a part from its config, without its weights."""
    try:
        if is_single_file(config.pretrained):
            path = Path(config.pretrained)
            return kind.from_config(single_file_config(path, kind, read_single_file(path), config.arguments))
        folder = _find(config, kind, with_weights=False).folder
        with quiet_libraries():
            if issubclass(kind, PreTrainedModel):
                return kind(kind.config_class.from_pretrained(folder))
            return kind.from_config(kind.load_config(folder))
    except UserError as error:
        raise UserError(f"{name}: {error}; {advise_on_part(name, config)}") from None
    except (OSError, ValueError) as error:
        where = Path(config.pretrained, config.subfolder or "")
        raise UserError(
            f"{name}: {where} could not be loaded ({reason_of(error)}); {advise_on_part(name, config)}"
        ) from None


def _find_missing(config: NetworkConfig) -> Iterator[str]:
    """Yield a message for each pretrained part that cannot be found, without reading or fetching weights."""
    for name, part in pretrained_parts(config).items():
        if is_single_file(part.pretrained):
            continue
        try:
            _find(part, KINDS[name], with_weights=False)
        except UserError as error:
            yield f"{name}: {error}; {advise_on_part(name, part)}"


def _find(config: PartConfig, kind: type[T], *, with_weights: bool = True) -> PartFiles:
    return find_part(
        config.pretrained,
        TRANSFORMERS if issubclass(kind, PreTrainedModel) else DIFFUSERS,
        class_name=kind.__name__,
        subfolder=config.subfolder,
        variant=config.variant,
        revision=config.revision,
        with_weights=with_weights,
    )


def _from_arguments(name: str, config: PartConfig, kind: type[T]) -> T:
    try:
        if issubclass(kind, PreTrainedModel):
            return kind(kind.config_class(**config.arguments))
        return kind(**config.arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}.arguments do not make a {kind.__name__}: {error}") from None


def _is_copied(config: NetworkConfig) -> bool:
    """Whether the imitative U-Net starts as a copy of the reference U-Net."""
    return config.imitative_unet.pretrained is None and not config.imitative_unet.arguments


def _initial_imitative(
    config: NetworkConfig, reference: UNet2DConditionModel, empty: Collection[str]
) -> UNet2DConditionModel:
    if _is_copied(config):
        is_empty = "imitative_unet" in empty
        return UNet2DConditionModel.from_config(reference.config) if is_empty else copy.deepcopy(reference)
    return _part("imitative_unet", config, UNet2DConditionModel, empty="imitative_unet" in empty)


def _shape_map(config: NetworkConfig, empty: Collection[str]) -> EdgeShape | DepthShape:
    if config.depth is None:
        return EdgeShape()
    depth_model = _part("depth", config, DepthAnythingForDepthEstimation, empty="shape_map" in empty)
    return DepthShape(depth_model, config.depth_input)
