"""Build a network and fill it with weights, in three layers, of which a later one replaces parts of an earlier one.

- *pretrained*: every part from its own source, or drawn at random (`parts.py`);
- *weights*: trained weights of a whole network to start from, `NetworkConfig.weights` (`trained_weights.py`);
- *checkpoint*: tensors of a training run, which leave out frozen parts that the other layers hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from mimicbrush.errors import UserError
from mimicbrush.hub.locations import local_folder
from mimicbrush.model.config import NetworkConfig, released_network
from mimicbrush.model.lora import lacks_base
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.digests import require_unchanged
from mimicbrush.model.weights.exported_folder import folder_config
from mimicbrush.model.weights.find import find_weights, is_exported, is_run
from mimicbrush.model.weights.parts import FROZEN_PARTS, build_parts
from mimicbrush.model.weights.run_checkpoint import read_run, read_run_config, read_run_seed
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights, in_precision_of, load_strictly
from mimicbrush.model.weights.trained_weights import (
    check_trained_weights,
    fetchable_parts,
    fold_adapters,
    parts_left_out,
    read_weights,
)


def initialise(
    config: NetworkConfig,
    *,
    seed: int = 0,
    checkpoint: TrainedWeights | None = None,
    dtype: torch.dtype = torch.float32,
    precisions: Mapping[str, torch.dtype] = MappingProxyType({}),
) -> MimicBrushNetwork:
    """Build the network of `config` and fill it with pretrained parts, `config.weights` and `checkpoint`.

    seed: for parts without a source, which are drawn at random. dtype: precision of all parts but the depth model,
    which stays in float32. precisions: part -> another precision; the part is loaded in it, which saves memory.
    Raises UserError where weights are not found or do not fit.
    """
    stored = _read_stored_parts(config, checkpoint)
    network = _build_pretrained(config, seed, stored, precisions)
    if checkpoint is not None:
        # Before any precision changes: the digests belong to the precision in which the run saw the tensors.
        _require_unchanged_parts(network, config, checkpoint, stored)
    network.to_precision(dtype, precisions)
    _load_stored_parts(network, stored)
    for name in FROZEN_PARTS:
        getattr(network, name).requires_grad_(False).eval()
    return network


def load_network(weights: str | Path, *, use_ema: bool = True, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """Load the network of a training run, an exported folder, a hub repository or a released mimicbrush.bin, to edit.

    A run's folder means its last checkpoint; another one can be named, such as RUN/checkpoints/best.ckpt.
    use_ema: take the averaged weights of a run, where it has them. dtype: precision of all parts but the depth model,
    which stays in float32. Raises UserError where weights are missing or do not fit.
    """
    path = find_weights(str(weights))
    if is_exported(path):
        return from_pretrained(path, dtype=dtype)
    if path.is_file() and not is_run(path):
        return load_release(path, released_network(), dtype=dtype)
    checkpoint = read_run(path, use_ema=use_ema)
    return initialise(read_run_config(path), seed=read_run_seed(path), checkpoint=checkpoint, dtype=dtype).eval()


def load_release(path: Path, config: NetworkConfig, *, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """Load the network of a released checkpoint, to edit; raises UserError where it does not fit `config`."""
    return initialise(replace(config, weights=str(path)), dtype=dtype).eval()


def from_pretrained(folder: str | Path, *, dtype: torch.dtype = torch.float32) -> MimicBrushNetwork:
    """Load the network of an exported folder or hub repository, to edit; raises UserError where it holds none."""
    path = local_folder(str(folder))
    if not is_exported(path):
        raise UserError(f"{path}: not a folder made by `python -m mimicbrush.model.weights convert`")
    return initialise(folder_config(path), dtype=dtype).eval()


class StoredPart(NamedTuple):
    """Tensors of one part that were read from a file or folder."""

    origin: str
    """The file or folder, for messages."""
    tensors: Tensors


def _read_stored_parts(config: NetworkConfig, checkpoint: TrainedWeights | None) -> dict[str, StoredPart]:
    """Read the layers *weights* and *checkpoint*: part -> its tensors; parts of the layer *pretrained* are left out."""
    layers = [read_weights(config.weights)] if config.weights and _needs_weights(config, checkpoint) else []
    if checkpoint is not None:
        layers.append(fold_adapters(checkpoint, config, layers[0].parts if layers else {}))
    for layer in layers:
        check_trained_weights(layer, config)
    return {name: StoredPart(layer.origin, tensors) for layer in layers for name, tensors in layer.parts.items()}


def _needs_weights(config: NetworkConfig, checkpoint: TrainedWeights | None) -> bool:
    """Whether the layer *weights* contributes anything beside the checkpoint."""
    if checkpoint is None or parts_left_out(config, checkpoint):
        return True
    return any(map(lacks_base, checkpoint.parts.values()))


def _build_pretrained(
    config: NetworkConfig, seed: int, stored: Collection[str], precisions: Mapping[str, torch.dtype]
) -> MimicBrushNetwork:
    """Build the network with the layer *pretrained*; parts in `stored` get no memory yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MimicBrushNetwork(**build_parts(config, stored, precisions), options=config.options)
    _check_sizes(network)
    return network


def _require_unchanged_parts(
    network: MimicBrushNetwork, config: NetworkConfig, checkpoint: TrainedWeights, stored: Mapping[str, StoredPart]
) -> None:
    """Raise UserError where a part that the checkpoint leaves out is not the one that the run was trained with."""
    found = {
        name: stored[name].tensors if name in stored else getattr(network, name).state_dict()
        for name in parts_left_out(config, checkpoint)
    }
    require_unchanged(checkpoint.left_out, found, checkpoint.origin, lambda: fetchable_parts(config))


def _load_stored_parts(network: MimicBrushNetwork, stored: dict[str, StoredPart]) -> None:
    """Put the stored tensors into the network; empties `stored`, so that memory is freed part by part."""
    for name in list(stored):
        origin, tensors = stored.pop(name)
        part = getattr(network, name)
        load_strictly(part, in_precision_of(part, tensors), f"{origin}, {name},", assign=True)


def _check_sizes(network: MimicBrushNetwork) -> None:
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
