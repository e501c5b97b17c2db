"""Read trained weights of any kind, and say which parts of a network they hold and which come from elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields

from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, NetworkOptions, PartConfig
from mimicbrush.model.lora import fold, has_adapters, lacks_base
from mimicbrush.model.weights.digests import require_unchanged
from mimicbrush.model.weights.exported_folder import FOLDERS, read_folder
from mimicbrush.model.weights.find import find_weights, is_exported, is_run
from mimicbrush.model.weights.parts import FROZEN_PARTS, TRAINED_PARTS, build_parts
from mimicbrush.model.weights.recommended import RECOMMENDED
from mimicbrush.model.weights.release import RELEASED_NAMES, read_release
from mimicbrush.model.weights.run_checkpoint import read_run, read_run_config
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights


def read_weights(name: str, *, use_ema: bool = True) -> TrainedWeights:
    """Read the tensors of any of the three kinds of trained weights; raises UserError where it is none.

    A run that started from such weights leaves its frozen parts to them; these parts are read from there.
    """
    path = find_weights(name)
    if path.is_file() and not is_run(path):
        return read_release(path)
    if is_exported(path):
        return read_folder(path)
    config = read_run_config(path)
    run = read_run(path, use_ema=use_ema)
    start = read_weights(config.weights).parts if config.weights else {}
    run = fold_adapters(run, config, start)
    left_out = {name: tensors for name, tensors in start.items() if name not in run.parts}
    require_unchanged(run.left_out, left_out, run.origin, lambda: fetchable_parts(config))
    return run._replace(parts={**start, **run.parts})


def fold_adapters(run: TrainedWeights, config: NetworkConfig, start: Mapping[str, Tensors]) -> TrainedWeights:
    """Replace adapters by plain weights: each is added to its base, from the run or from the source in `config`.

    start: the parts of `config.weights`. Raises UserError where a base cannot be loaded.
    """
    adapted = {name: tensors for name, tensors in run.parts.items() if has_adapters(tensors)}
    bases = _read_bases(config, {name for name, tensors in adapted.items() if lacks_base(tensors)}, start)
    require_unchanged(run.left_out, bases, run.origin, lambda: fetchable_parts(config))
    folded = {name: fold({**bases.get(name, {}), **tensors}) for name, tensors in adapted.items()}
    return run._replace(parts={**run.parts, **folded})


def fetchable_parts(config: NetworkConfig) -> dict[str, str]:
    """Parts that can be fetched again -> their source. Checkpoints leave out the frozen tensors of these parts."""
    in_weights = _part_names(config.weights) if config.weights else ()
    sources = {
        name: config.weights if name in in_weights else part.pretrained for name, part in _part_configs(config).items()
    }
    return {name: source for name, source in sources.items() if source is not None}


def parts_left_out(config: NetworkConfig, checkpoint: TrainedWeights) -> set[str]:
    """Names of the parts that a checkpoint lacks altogether."""
    return _part_configs(config).keys() - checkpoint.parts.keys()


def check_trained_weights(weights: TrainedWeights, config: NetworkConfig) -> None:
    """Raise UserError where trained parts are missing; warn where the weights were trained with other options."""
    known = {*TRAINED_PARTS, *FROZEN_PARTS, "reference_unet"}
    faults = [f"lacks {name}" for name in TRAINED_PARTS if name not in weights.parts]
    faults += [f"holds {name}, which is no part of a network" for name in weights.parts.keys() - known]
    if faults:
        raise UserError(f"{weights.origin} {', '.join(faults)}; copy or make it again")
    _warn_of_other_options(weights, config)


def _part_names(weights: str) -> Collection[str]:
    """Names of the parts that `read_weights` finds."""
    path = find_weights(weights)
    if is_exported(path):
        return FOLDERS
    if path.is_file() and not is_run(path):
        return RELEASED_NAMES.values()
    start = read_run_config(path).weights
    return {*read_run(path).parts, *(_part_names(start) if start else ())}


def _read_bases(config: NetworkConfig, names: set[str], start: Mapping[str, Tensors]) -> dict[str, Tensors]:
    """Part -> its tensors before training, from `start` or from the part's source in `config`."""
    if not names:
        return {}
    fetched = names - start.keys()
    others = {*TRAINED_PARTS, *_part_configs(config)} - fetched
    built = build_parts(config, empty=others) if fetched else {}
    return {name: built[name].state_dict() if name in fetched else start[name] for name in names}


def _part_configs(config: NetworkConfig) -> dict[str, PartConfig]:
    """Part -> its config, for the parts that may be pretrained."""
    parts = {
        "imitative_unet": config.imitative_unet,
        "autoencoder": config.autoencoder,
        "image_encoder": config.image_encoder,
        "reference_unet": config.reference_unet,
        "shape_map": config.depth,
    }
    return {name: part for name, part in parts.items() if part is not None}


def _warn_of_other_options(weights: TrainedWeights, config: NetworkConfig) -> None:
    """Warn of other options, and of other sources of the parts that a run's checkpoint leaves out."""
    compared = {field.name for field in fields(NetworkOptions)} - {RECOMMENDED}
    compared |= {"depth" if name == "shape_map" else name for name in parts_left_out(config, weights)}
    for name, ours in asdict(config).items():
        theirs = weights.options.get(name)
        if name in compared and theirs is not None and _plain(theirs) != _plain(ours):
            warnings.warn(f"{weights.origin} was trained with {name} {theirs}, not {ours}", stacklevel=2)


def _plain(option: object) -> object:
    """Convert an option to what YAML gives, without fields that are null, which an older run may not have had."""
    if isinstance(option, dict):
        return {name: value for name, value in option.items() if value is not None}
    return list(option) if isinstance(option, tuple) else option
