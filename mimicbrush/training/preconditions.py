"""Preconditions of training, checked without torch: shards, weights, and an output folder that is free."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mimicbrush.data.shard_index import require_shards
from mimicbrush.errors import Faults, UserError
from mimicbrush.machine import require_posix
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.weights.find import (
    checkpoint_of,
    previous_checkpoint_of,
    require_local_parts,
    require_local_weights,
)
from mimicbrush.training.ablations.config import AblationsConfig
from mimicbrush.training.autoencoder.config import AutoencoderConfig
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.first_rank import is_first
from mimicbrush.training.resume_settings import require_same_run


def check_training(config: TrainConfig) -> None:
    """Raise UserError where the output folder holds another run, or naming all missing shards and weights.

    `--check` reports these itself, with everything else. A run with a checkpoint may be finished, and then needs none.
    """
    require_posix("training")
    if config.check:
        return
    require_same_run(config)
    if any(path(config.output).is_file() for path in (checkpoint_of, previous_checkpoint_of)):
        return
    heldout = [config.data.heldout] if config.data.heldout else []
    _require_inputs([*(source.shards for source in config.data.sources), *heldout], config.network)


def announce_training(config: TrainConfig) -> str | None:
    """First line of a run, which the first rank prints before libraries are imported."""
    return f"loading libraries to {'check' if config.check else 'train'} {config.output} ..." if is_first() else None


def check_ablations(config: AblationsConfig) -> None:
    """Raise UserError, with the faults of the first variant, if none of the chosen variants can be trained."""
    faults = []
    for name in config.chosen:
        try:
            check_training(config.runs[name])
        except UserError as error:
            faults.append(error)
    if len(faults) == len(config.chosen):
        raise faults[0]


def check_autoencoder(config: AutoencoderConfig) -> None:
    """Raise UserError that names all missing folders and the missing weights to start from."""
    start = NetworkConfig(autoencoder=PartConfig(pretrained=config.start))
    missing = [f"{each.folder}: no such folder" for each in config.heldout.values() if not each.folder.is_dir()]
    _require_inputs([source.shards for source in config.sources], start, missing)


def _require_inputs(shards: Iterable[str | Path], network: NetworkConfig, missing: Iterable[str] = ()) -> None:
    """Raise UserError that names all missing inputs; missing: those that were found already."""
    faults = Faults()
    for fault in missing:
        faults.add(fault)
    for folder in shards:
        with faults.collect():
            require_shards(folder)
    with faults.collect():
        require_local_parts(network)
    if network.weights:
        with faults.collect():
            require_local_weights(network.weights)
    faults.refuse()
