"""Load one part from a single Stable Diffusion file, .ckpt or .safetensors, without asking the hub for a config."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError
from safetensors.torch import load_file

from mimicbrush.errors import UserError
from mimicbrush.files import read_object, write_json
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import CONFIG
from mimicbrush.model.config import full_size_network
from mimicbrush.model.weights.tensors import Tensors, is_tensors
from mimicbrush.tensor_files import torch_load

T = TypeVar("T", bound=ModelMixin)

FIRST_LAYERS = ("model.diffusion_model.input_blocks.0.0.weight", "conv_in.weight")
"""Names of a U-Net's first convolution, in Stable Diffusion's own code and in diffusers."""


class PlaceholderClass:
    """Replaces a class that a checkpoint names beside its tensors, so that nothing of that class is imported or run."""


PLACEHOLDERS = [(PlaceholderClass, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")]
"""Class named in Stable Diffusion's own .ckpt files, written by Lightning 1 (flowtyone/ComfyUI-Flowty-LDSR#8)."""


def load_single_file(path: Path, kind: type[T], *, arguments: dict, dtype: torch.dtype) -> T:
    """Load the part of this class; raises UserError where the file does not hold it, or in other sizes.

    arguments: sizes in the part's config; empty: those of a config.json beside the file, or of Stable Diffusion 1.
    diffusers reads the file's tensors only, and never asks the hub for a config.
    """
    if kind not in (UNet2DConditionModel, AutoencoderKL):
        raise UserError(f"{path}: only a U-Net or an autoencoder is read from a single file; give a folder")
    tensors = read_single_file(path)
    config = single_file_config(path, kind, tensors, arguments)
    with tempfile.TemporaryDirectory() as folder:
        write_json({**config, "_class_name": kind.__name__}, Path(folder, CONFIG))
        try:
            with quiet_libraries():
                part = kind.from_single_file(tensors, config=folder, dtype=dtype, local_files_only=True)
        except (SingleFileComponentError, KeyError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{path} does not hold a {kind.__name__} of these sizes ({reason_of(error)}); give its sizes as"
                " arguments, or a folder in diffusers' layout"
            ) from None
    return part


def read_single_file(path: Path) -> Tensors:
    """Read the file's tensors, also from `state_dict`; raises UserError where it is damaged or holds none."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: damaged ({reason_of(error)}); copy or download it again") from None
    with torch.serialization.safe_globals(PLACEHOLDERS):
        content = torch_load(path)
    while isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    if not content or not is_tensors(content):
        raise UserError(f"{path}: expected tensors by name, or these as `state_dict`; give another file")
    return content


def single_file_config(path: Path, kind: type[ModelMixin], tensors: Tensors, arguments: dict) -> dict:
    """Config of a part: from `arguments`, else from config.json beside the file, else Stable Diffusion 1's."""
    beside = path.with_name(CONFIG)
    if arguments:
        config = arguments
    elif beside.is_file() and read_object(beside).get("_class_name") == kind.__name__:
        return read_object(beside)
    else:
        sizes = full_size_network()
        config = (sizes.reference_unet if kind is UNet2DConditionModel else sizes.autoencoder).arguments
    layers = [tensors[name] for name in FIRST_LAYERS if name in tensors]
    if kind is UNet2DConditionModel and layers:
        config = {**config, "in_channels": layers[0].shape[1]}
    return config
