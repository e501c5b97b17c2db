"""Load the diffusion model that motion guidance steers: Stable Diffusion, or a network of this project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from mimicbrush.editors.motion_guidance.imitative_prior import ImitativePrior
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.editors.motion_guidance.unclip_prior import UnclipPrior
from mimicbrush.errors import UserError, first_line
from mimicbrush.hub.locations import is_single_file, open_location, shipped
from mimicbrush.hub.pipeline_files import load_tokenizer, read_schedule
from mimicbrush.hub.unclip_parts import is_unclip, load_unclip
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.find import OPTIONS_NAME, is_run
from mimicbrush.model.weights.parts import load_pretrained

RELEASED_SUFFIX = ".bin"
"""Suffix of a released MimicBrush file; Stable Diffusion's single files have others."""
NETWORKS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
"""Folders with the networks that every such model has."""
TEXT = "text_encoder"
CLIP = "openai/clip-vit-large-patch14"
"""Text encoder and tokenizer of Stable Diffusion 1, which are not read from a single file."""


def load_prior(
    pretrained: str,
    *,
    text_encoder: str = CLIP,
    variant: str | None = None,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> LatentPrior | ImitativePrior:
    """Load Stable Diffusion 1, Stable unCLIP or another network in diffusers' layout, or MimicBrush's network.

    pretrained: a folder, a hub repository, asset:NAME, a single file (.ckpt, .safetensors), or weights of a MimicBrush
    network; text_encoder: where a single file's text encoder comes from; variant, revision: as for other parts.
    Raises UserError where weights are missing or damaged.
    """
    name = shipped(pretrained)
    if _is_mimicbrush(name):
        return ImitativePrior(load_network(name, dtype=dtype))
    if is_single_file(name):
        return _load_single_file(name, text_encoder, dtype)
    location = open_location(name, revision)
    if OPTIONS_NAME in location.files_in(""):
        return ImitativePrior(load_network(name, dtype=dtype))
    if is_unclip(location):
        return UnclipPrior(load_unclip(name, variant=variant, revision=revision, dtype=dtype))
    config = PartConfig(pretrained=name, variant=variant, revision=revision)
    networks = {part: _load(part, replace(config, subfolder=part), kind, dtype) for part, kind in NETWORKS.items()}
    if location.files_in(TEXT):
        networks[TEXT] = _load(TEXT, replace(config, subfolder=TEXT), CLIPTextModel, dtype)
        networks["tokenizer"] = load_tokenizer(location)
    return LatentPrior(**networks, schedule=read_schedule(location))


def _load_single_file(name: str, text_encoder: str, dtype: torch.dtype) -> LatentPrior:
    networks = {part: _load(part, PartConfig(pretrained=name), kind, dtype) for part, kind in NETWORKS.items()}
    networks[TEXT] = _load(TEXT, PartConfig(pretrained=text_encoder), CLIPTextModel, dtype)
    return LatentPrior(**networks, tokenizer=load_tokenizer(open_location(text_encoder), ""))


def _is_mimicbrush(name: str) -> bool:
    """Whether a local path holds weights of a MimicBrush network."""
    path = Path(name)
    return is_run(path) or (path.is_file() and path.suffix == RELEASED_SUFFIX)


def _load(name: str, config: PartConfig, kind: type, dtype: torch.dtype) -> torch.nn.Module:
    try:
        return load_pretrained(name, config, kind, dtype=dtype)
    except UserError as error:
        raise UserError(
            f"{name}: {first_line(error)}; give a folder or repository in diffusers' layout, or a single file"
        ) from None
