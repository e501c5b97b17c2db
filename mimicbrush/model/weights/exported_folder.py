"""Write and read a folder in diffusers' layout that holds a whole network, as safetensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import diffusers
import torch
from diffusers import SchedulerMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation, PreTrainedModel
from transformers.utils import logging as transformers_logging

from mimicbrush.config import config_from_dict
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.errors import UserError
from mimicbrush.files import read_object, whole_folder, write_json, write_text
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import local_folder
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.config import NetworkConfig, NetworkOptions
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.find import INDEX_NAME, OPTIONS_NAME
from mimicbrush.model.weights.preconditions import refuse_folder
from mimicbrush.model.weights.recommended import RECOMMENDED, read_folder_recommendation
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights

PLAIN_DIFFUSERS = "install_the_mimicbrush_package"
"""Module that diffusers without this package asks to run, by name, to load such a folder; it only says what to do."""
INSTALL_MODULE = '''"""Runs if diffusers alone loads this folder."""

raise ImportError(
    "this folder holds a pipeline of the package mimicbrush, which diffusers alone cannot load: install the package,"
    " and load the folder with mimicbrush.MimicBrushPipeline.from_pretrained"
)
'''

FOLDERS = {
    "imitative_unet": ("unet", ""),
    "reference_unet": ("reference_unet", ""),
    "autoencoder": ("vae", ""),
    "image_encoder": ("image_encoder", "clip."),
    "image_projector": ("image_projector", ""),
    "shape_map": ("depth_model", "depth_model."),
    "shape_projector": ("shape_projector", ""),
}
"""Part -> its subfolder, with diffusers' names, and the prefix of its tensors' names in our network."""

TRANSFORMERS = {"image_encoder": CLIPVisionModelWithProjection, "shape_map": DepthAnythingForDepthEstimation}


def save_pretrained(
    network: MimicBrushNetwork,
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    scheduler: SchedulerMixin | None = None,
) -> None:
    """Write every part, the options and the scheduler; the folder appears complete or not at all.

    dtype: precision of the stored weights; by default that of the network. scheduler: by default the recommended one.
    Raises UserError where the folder exists.
    """
    refuse_folder(folder)
    with whole_folder(folder) as partial, quiet_libraries():
        models = {FOLDERS[name][0]: model for name, model in _stored_models(network).items()}
        for subfolder, model in models.items():
            stored = model if dtype in (None, model.dtype) else nn.Module.to(copy.deepcopy(model), dtype)
            stored.save_pretrained(partial / subfolder)
            _forget_origin(partial / subfolder / "config.json")
        models["scheduler"] = scheduler or recommended_scheduler(network.options)
        models["scheduler"].save_pretrained(partial / "scheduler")
        options = asdict(network.options)
        recommended = options.pop(RECOMMENDED) | describe_sampler(models["scheduler"])
        write_json(options, partial / OPTIONS_NAME)
        write_text(INSTALL_MODULE, partial / f"{PLAIN_DIFFUSERS}.py")
        write_json({**_index(models), RECOMMENDED: recommended}, partial / INDEX_NAME)


def recommended_scheduler(options: NetworkOptions) -> SchedulerMixin:
    """Make the sampler that weights recommend."""
    recommended = options.recommended
    return make_scheduler(options.prediction_type, recommended.scheduler, timestep_spacing=recommended.timestep_spacing)


def describe_sampler(scheduler: SchedulerMixin) -> dict[str, str]:
    """The fields of `RecommendedSettings` that name this sampler."""
    spacing = scheduler.config.get("timestep_spacing", "leading")
    return {"scheduler": type(scheduler).__name__, "timestep_spacing": spacing}


def _forget_origin(config: Path) -> None:
    """Remove the local path from which the part was loaded, which diffusers records."""
    write_json({name: value for name, value in read_object(config).items() if name != "_name_or_path"}, config)


def load_scheduler(weights: str | Path) -> SchedulerMixin | None:
    """Load the scheduler of an exported folder; None if there is none."""
    folder = local_folder(str(weights))
    if not (folder / "scheduler").is_dir():
        return None
    _, name = read_object(folder / INDEX_NAME, "scheduler")["scheduler"]
    try:
        return getattr(diffusers, name).from_pretrained(folder, subfolder="scheduler")
    except (AttributeError, OSError, ValueError) as error:
        raise UserError(f"{folder / 'scheduler'}: damaged ({reason_of(error)}); copy or convert it again") from None


def read_folder(folder: Path) -> TrainedWeights:
    """Read the tensors of every part; raises UserError where a file is missing or damaged."""
    parts = {}
    for name, (subfolder, prefix) in FOLDERS.items():
        if name == "shape_map" and not _has_depth(folder):
            continue
        path, kind = folder / subfolder, TRANSFORMERS.get(name)
        tensors = _read_transformer(path, kind) if kind else _read_tensors(path)
        parts[name] = {prefix + key: tensor for key, tensor in tensors.items()}
    return TrainedWeights("exported folder", str(folder), parts, _read_options(folder))


def folder_config(folder: Path) -> NetworkConfig:
    """Config of the network in such a folder; raises UserError where its options are damaged."""
    sources = {name: {"pretrained": str(folder), "subfolder": where} for name, (where, _) in FOLDERS.items()}
    if _has_depth(folder):
        sources["depth"] = sources["shape_map"]
    parts = {field.name: sources[field.name] for field in fields(NetworkConfig) if field.name in sources}
    options = _read_options(folder)
    try:
        return config_from_dict(NetworkConfig, {**options, **parts, "weights": str(folder)})
    except UserError as error:
        raise UserError(f"{folder / OPTIONS_NAME}: {error}; convert the weights again") from None


def _stored_models(network: MimicBrushNetwork) -> dict[str, nn.Module]:
    """Part -> the diffusers or transformers model that stores it; an edge map has none."""
    models = {name: getattr(network, name) for name in FOLDERS if name != "shape_map"}
    models["image_encoder"] = network.image_encoder.clip
    if isinstance(network.shape_map, DepthShape):
        models["shape_map"] = network.shape_map.depth_model
    return models


def _index(models: dict[str, object]) -> dict:
    """Content of model_index.json: subfolder -> library and class, as diffusers writes it."""
    kinds = {name: [type(model).__module__.split(".")[0], type(model).__name__] for name, model in models.items()}
    # diffusers would look up a plain name in itself, and end in an AttributeError.
    class_name = [PLAIN_DIFFUSERS, "MimicBrushPipeline"]
    return {"_class_name": class_name, "_diffusers_version": diffusers.__version__, **kinds}


def _has_depth(folder: Path) -> bool:
    """Whether the shape map is a depth map, by the index: a missing folder would not tell a damaged copy from edges."""
    return FOLDERS["shape_map"][0] in read_object(folder / INDEX_NAME)


def _read_options(folder: Path) -> dict:
    stored = (field.name for field in fields(NetworkOptions) if field.name != RECOMMENDED)
    return {**read_object(folder / OPTIONS_NAME, *stored), RECOMMENDED: asdict(read_folder_recommendation(folder))}


def _read_tensors(folder: Path) -> Tensors:
    tensors = {}
    for path in _weight_files(folder):
        try:
            tensors |= load_file(path)
        except SafetensorError as error:
            raise UserError(f"{path}: damaged ({error}); copy or convert it again") from None
    return tensors


def _read_transformer(folder: Path, kind: type[PreTrainedModel]) -> Tensors:
    """Load the tensors by transformers itself, which stores other names than its models have."""
    _weight_files(folder)
    try:
        with _without_bars():
            model, found = kind.from_pretrained(folder, use_safetensors=True, dtype="auto", output_loading_info=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: damaged ({reason_of(error)}); copy or convert it again") from None
    if found["missing_keys"] or found["mismatched_keys"]:
        faults = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise UserError(f"{folder}: {len(faults)} tensors missing or misshaped, first {faults[0]}; convert it again")
    return model.state_dict()


@contextmanager
def _without_bars() -> Iterator[None]:
    """Hide transformers' progress bar, which would precede the output of a command."""
    were_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            transformers_logging.enable_progress_bar()


def _weight_files(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise UserError(f"{folder}: no .safetensors file; convert the weights again, or copy the folder whole")
    return paths
