"""Load the diffusion model that motion guidance steers: Stable Diffusion, or a network of this project."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from mimicbrush.config import config_from_dict
from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.editors.motion_guidance.imitative_prior import ImitativePrior
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.errors import UserError, first_line
from mimicbrush.files import read_object
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import PartLocation, is_single_file, open_location, shipped
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.find import OPTIONS_NAME, is_run
from mimicbrush.model.weights.parts import load_pretrained

SCHEDULER = "scheduler_config.json"
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
    """Load Stable Diffusion 1 or another network in diffusers' layout, or MimicBrush's network.

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
    config = PartConfig(pretrained=name, variant=variant, revision=revision)
    networks = {part: _load(part, replace(config, subfolder=part), kind, dtype) for part, kind in NETWORKS.items()}
    if location.files_in(TEXT):
        networks[TEXT] = _load(TEXT, replace(config, subfolder=TEXT), CLIPTextModel, dtype)
        networks["tokenizer"] = _load_tokenizer(location, "tokenizer")
    return LatentPrior(**networks, schedule=_read_schedule(location))


def _load_single_file(name: str, text_encoder: str, dtype: torch.dtype) -> LatentPrior:
    networks = {part: _load(part, PartConfig(pretrained=name), kind, dtype) for part, kind in NETWORKS.items()}
    networks[TEXT] = _load(TEXT, PartConfig(pretrained=text_encoder), CLIPTextModel, dtype)
    return LatentPrior(**networks, tokenizer=_load_tokenizer(open_location(text_encoder), ""))


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


def _load_tokenizer(location: PartLocation, subfolder: str) -> CLIPTokenizer:
    names = _tokenizer_files(location.files_in(subfolder))
    if not names and location.is_partial:
        location.list_remote_files()
        names = _tokenizer_files(location.files_in(subfolder))
    try:
        with quiet_libraries():
            return CLIPTokenizer.from_pretrained(location.fetch(subfolder, names), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{location.describe(subfolder)}: no tokenizer of CLIP ({reason_of(error)})") from None


def _tokenizer_files(names: Collection[str]) -> set[str]:
    """Small files beside the weights, of which a tokenizer is made."""
    return {name for name in names if Path(name).suffix in (".json", ".txt") and "index" not in name}


def _read_schedule(location: PartLocation) -> ScheduleConfig:
    """The noise schedule that the weights were trained with; Stable Diffusion's where none is given."""
    if SCHEDULER not in location.files_in("scheduler"):
        return ScheduleConfig()
    path = location.fetch("scheduler", {SCHEDULER}) / SCHEDULER
    found, known = read_object(path), {field.name for field in fields(ScheduleConfig)}
    try:
        return config_from_dict(ScheduleConfig, {name: found[name] for name in known & found.keys()})
    except UserError as error:
        raise UserError(f"{path}: {first_line(error)}") from None
