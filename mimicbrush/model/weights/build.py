"""From a config, a released file, an exported folder or a training run to a network."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import MappingProxyType

import torch

from mimicbrush.errors import UserError
from mimicbrush.hub.locations import local_folder
from mimicbrush.model.config import NetworkConfig, NetworkOptions, PartConfig, released_network
from mimicbrush.model.lora import fold, has_adapters, lacks_base
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.digests import require_unchanged
from mimicbrush.model.weights.exported_folder import FOLDERS, folder_config, read_folder
from mimicbrush.model.weights.find import find_weights, is_exported, is_run
from mimicbrush.model.weights.parts import build_parts
from mimicbrush.model.weights.recommended import RECOMMENDED
from mimicbrush.model.weights.release import RELEASED_NAMES, read_release
from mimicbrush.model.weights.run_checkpoint import read_run, read_run_config, read_run_seed
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights, in_precision_of, load_strictly

TRAINED_PARTS = ("imitative_unet", "image_projector", "shape_projector")
"""Parts that all trained weights hold."""
FROZEN_PARTS = ("autoencoder", "image_encoder", "shape_map")
"""Parts that are never trained."""


def initialise(
    config: NetworkConfig,
    *,
    seed: int = 0,
    trained: TrainedWeights | None = None,
    dtype: torch.dtype = torch.float32,
    precisions: Mapping[str, torch.dtype] = MappingProxyType({}),
) -> MimicBrushNetwork:
    """Build the network: parts pretrained, or drawn from `seed`, with the weights of `config.weights` in their place.

    trained: a checkpoint's tensors, which come before both; dtype: of all but the depth model, which stays in float32;
    precisions: part -> another dtype than that, in which it is loaded straight away, for less memory on the way.
    Raises UserError where weights are not found or do not fit.
    """
    given = _given_tensors(config, trained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MimicBrushNetwork(**build_parts(config, given, precisions), options=config.options)
    _check_parts(network)
    if trained is not None:
        # Before anything is cast: digests are of the precision in which the run saw the tensors.
        left_out = _left_out_parts(config, trained)
        found = {name: given[name][1] if name in given else getattr(network, name).state_dict() for name in left_out}
        require_unchanged(trained.left_out, found, trained.origin, lambda: fetchable_parts(config))
    network.to_precision(dtype, precisions)
    for name in list(given):
        # Taken out, so that what was stored in another precision goes as soon as it is converted, a part at a time.
        origin, tensors = given.pop(name)
        part = getattr(network, name)
        load_strictly(part, in_precision_of(part, tensors), f"{origin}, {name},", assign=True)
    for name in FROZEN_PARTS:
        getattr(network, name).requires_grad_(False).eval()
    return network


def load_network(weights: str | Path, *, use_ema: bool = True, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """The network of a training run, an exported folder or hub repository, or a released mimicbrush.bin, for editing.

    Of a run its last checkpoint, or one that is named, such as RUN/checkpoints/best.ckpt.
    use_ema: a run's averaged weights, where it has them; dtype: of all but the depth model, which stays in float32.
    Raises UserError where weights are missing or do not fit.
    """
    path = find_weights(str(weights))
    if is_exported(path):
        return from_pretrained(path, dtype=dtype)
    if path.is_file() and not is_run(path):
        return load_release(path, released_network(), dtype=dtype)
    trained = read_run(path, use_ema=use_ema)
    return initialise(read_run_config(path), seed=read_run_seed(path), trained=trained, dtype=dtype).eval()


def load_release(path: Path, config: NetworkConfig, *, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """The network of a released checkpoint, for editing; raises UserError where it does not fit `config`."""
    return initialise(replace(config, weights=str(path)), dtype=dtype).eval()


def from_pretrained(folder: str | Path, *, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """The network of an exported folder or hub repository, for editing; raises UserError where it holds none."""
    path = local_folder(str(folder))
    if not is_exported(path):
        raise UserError(f"{path}: not a folder made by `python -m mimicbrush.model.weights convert`")
    return initialise(folder_config(path), dtype=dtype).eval()


def read_weights(name: str, *, use_ema: bool = True) -> TrainedWeights:
    """The tensors of any of the three kinds of trained weights; raises UserError where it is none.

    A run that itself started from such weights has left its frozen parts to them: they are read from there.
    """
    path = find_weights(name)
    if path.is_file() and not is_run(path):
        return read_release(path)
    if is_exported(path):
        return read_folder(path)
    config = read_run_config(path)
    run = read_run(path, use_ema=use_ema)
    start = read_weights(config.weights).parts if config.weights else {}
    run = with_adapters_folded(run, config, start)
    left_out = {name: tensors for name, tensors in start.items() if name not in run.parts}
    require_unchanged(run.left_out, left_out, run.origin, lambda: fetchable_parts(config))
    return run._replace(parts={**start, **run.parts})


def with_adapters_folded(run: TrainedWeights, config: NetworkConfig, start: Mapping[str, Tensors]) -> TrainedWeights:
    """Plain weights in place of adapters: their base lies beside them, or where `config` says that the part comes from.

    start: the parts of `config.weights`. Raises UserError where the base is not to be had.
    """
    adapted = {name: tensors for name, tensors in run.parts.items() if has_adapters(tensors)}
    bases = _bases(config, {name for name, tensors in adapted.items() if lacks_base(tensors)}, start)
    require_unchanged(run.left_out, bases, run.origin, lambda: fetchable_parts(config))
    folded = {name: fold({**bases.get(name, {}), **tensors}) for name, tensors in adapted.items()}
    return run._replace(parts={**run.parts, **folded})


def fetchable_parts(config: NetworkConfig) -> dict[str, str]:
    """Part that comes from elsewhere -> from where: checkpoints leave out what of it is frozen."""
    given = _part_names(config.weights) if config.weights else ()
    sources = {
        name: config.weights if name in given else part.pretrained for name, part in _large_parts(config).items()
    }
    return {name: source for name, source in sources.items() if source is not None}


def _part_names(weights: str) -> Collection[str]:
    """Names of the parts that `read_weights` finds."""
    path = find_weights(weights)
    if is_exported(path):
        return FOLDERS
    if path.is_file() and not is_run(path):
        return RELEASED_NAMES.values()
    start = read_run_config(path).weights
    return {*read_run(path).parts, *(_part_names(start) if start else ())}


def _given_tensors(config: NetworkConfig, trained: TrainedWeights | None) -> dict[str, tuple[str, Tensors]]:
    """Part -> where its tensors were read, and these; parts that are loaded or drawn on their own are left out."""
    needs_start = trained is None or _left_out_parts(config, trained) or any(map(lacks_base, trained.parts.values()))
    sources = [read_weights(config.weights)] if config.weights and needs_start else []
    if trained:
        sources.append(with_adapters_folded(trained, config, sources[0].parts if sources else {}))
    for source in sources:
        _check_trained_parts(source)
        _warn_of_other_options(source, config)
    return {name: (source.origin, tensors) for source in sources for name, tensors in source.parts.items()}


def _bases(config: NetworkConfig, names: set[str], given: Mapping[str, Tensors]) -> dict[str, Tensors]:
    """Part -> its tensors before training: those of `given`, or of where its config says that it comes from."""
    if not names:
        return {}
    fetched = names - given.keys()
    others = {*TRAINED_PARTS, *_large_parts(config)} - fetched
    built = build_parts(config, given=others) if fetched else {}
    return {name: built[name].state_dict() if name in fetched else given[name] for name in names}


def _large_parts(config: NetworkConfig) -> dict[str, PartConfig]:
    """Part -> its config: those that may be pretrained."""
    parts = {
        "imitative_unet": config.imitative_unet,
        "autoencoder": config.autoencoder,
        "image_encoder": config.image_encoder,
        "reference_unet": config.reference_unet,
        "shape_map": config.depth,
    }
    return {name: part for name, part in parts.items() if part is not None}


def _left_out_parts(config: NetworkConfig, trained: TrainedWeights) -> set[str]:
    return _large_parts(config).keys() - trained.parts.keys()


def _check_trained_parts(source: TrainedWeights) -> None:
    known = {*TRAINED_PARTS, *FROZEN_PARTS, "reference_unet"}
    faults = [f"lacks {name}" for name in TRAINED_PARTS if name not in source.parts]
    faults += [f"holds {name}, which is no part of a network" for name in source.parts.keys() - known]
    if faults:
        raise UserError(f"{source.origin} {', '.join(faults)}; copy or make it again")


def _warn_of_other_options(source: TrainedWeights, config: NetworkConfig) -> None:
    """Warn of other options, and of other sources of the parts that a run's checkpoint has left out."""
    compared = {field.name for field in fields(NetworkOptions)} - {RECOMMENDED}
    compared |= {"depth" if name == "shape_map" else name for name in _left_out_parts(config, source)}
    for name, ours in asdict(config).items():
        theirs = source.options.get(name)
        if name in compared and theirs is not None and _plain(theirs) != _plain(ours):
            warnings.warn(f"{source.origin} was trained with {name} {theirs}, not {ours}", stacklevel=2)


def _plain(option: object) -> object:
    """An option as YAML gives it, without the fields that are null, which an older run may not have had."""
    if isinstance(option, dict):
        return {name: value for name, value in option.items() if value is not None}
    return list(option) if isinstance(option, tuple) else option


def _check_parts(network: MimicBrushNetwork) -> None:
    imitative, reference = network.imitative_unet.config, network.reference_unet.config
    if tuple(imitative.block_out_channels) != tuple(reference.block_out_channels):
        raise UserError(
            f"imitative_unet has widths {imitative.block_out_channels}, reference_unet {reference.block_out_channels};"
            " they share keys and values, so they must be equal"
        )
    num_widths = len(network.autoencoder.config.block_out_channels)
    if len(network.options.shape_channels) != num_widths:
        raise UserError(
            f"shape_channels has {len(network.options.shape_channels)} widths, an autoencoder of stride"
            f" {network.stride} needs {num_widths}"
        )
    if network.size % network.stride:
        raise UserError(f"size is {network.size}, expected a multiple of the autoencoder's stride, {network.stride}")
