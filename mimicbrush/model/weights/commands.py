"""The work of `python -m mimicbrush.model.weights`: inspect, convert, push and lora."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import torch
import yaml

from mimicbrush.config import to_plain
from mimicbrush.errors import Faults, spaced
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import load_network, load_release
from mimicbrush.model.weights.config import ConvertConfig, InspectConfig, LoraConfig, PushConfig
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.find import find_weights, is_run
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.model.weights.preconditions import RELEASE_SUFFIX
from mimicbrush.model.weights.presets import fitting_presets
from mimicbrush.model.weights.recommended import RECOMMENDED, recommendation_in
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.tensors import TrainedWeights, require_fit
from mimicbrush.model.weights.trained_weights import read_weights
from mimicbrush.model.weights.weights_upload import push_network

CONFIGS = Path("configs/train")
"""Folder of the presets, relative to the project's root."""


def inspect(config: InspectConfig) -> None:
    """Print the content of the weights."""
    weights = read_weights(config.weights)
    print(f"{weights.origin}: {weights.kind}\n")
    for line in describe(weights):
        print(line)


def convert(config: ConvertConfig) -> None:
    """Write the weights in another layout; raises UserError where they cannot be read or do not fit."""
    network, dtype = _load(config, config.weights), getattr(torch, config.dtype)
    names = config.weights
    if config.average_with is not None:
        average(network, _load(config, config.average_with), config.average_with)
        names = f"mean of {config.weights} and {config.average_with}"
    if config.output.suffix == RELEASE_SUFFIX:
        save_release(network, config.output, dtype=dtype, position_ids=config.position_ids)
        recommended = network.options.recommended
        if recommended != RecommendedSettings():
            print(f"a {RELEASE_SUFFIX} cannot hold what these weights recommend for edits: {to_plain(recommended)}")
    else:
        save_pretrained(network, config.output, dtype=dtype)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{names}: {spaced(num_parameters)} parameters in {config.dtype} -> {config.output}")


def push(config: PushConfig) -> None:
    """Convert the weights, write their card, and upload both; raises UserError where the hub refuses them."""
    network = load_network(find_weights(config.weights), use_ema=config.use_ema)
    address = push_network(
        network,
        config.repo_id,
        weights=find_weights(config.weights),
        evaluation=config.evaluation,
        licence=config.licence,
        private=config.private,
        dtype=getattr(torch, config.dtype),
    )
    print(f"{config.weights}: weights and card -> {address}")


def lora(config: LoraConfig) -> None:
    """Write a run's adapters, and its base; raises UserError where the run has trained none."""
    base = export_lora(config.weights, config.output, use_ema=config.use_ema, dtype=getattr(torch, config.dtype))
    written = read_lora(config.output)
    num_parameters = sum(each.up.numel() + each.down.numel() for each in written.adapters.values())
    print(
        f"{config.weights}: {len(written.adapters)} adapters of {spaced(num_parameters)} parameters and"
        f" {len(written.whole)} other trained tensors -> {config.output}; base: {written.base}"
    )
    if config.base is not None:
        save_pretrained(base, config.base)
        print(f"the base -> {config.base}")


def describe(weights: TrainedWeights) -> list[str]:
    """Describe the parts in a table, the options with the recommended settings, and the presets that fit."""
    lines = [f"{'part':16s} {'tensors':>8s} {'parameters':>14s}  precision"]
    for name, tensors in weights.parts.items():
        num_parameters = sum(tensor.numel() for tensor in tensors.values())
        precisions = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
        lines.append(f"{name:16s} {len(tensors):8d} {spaced(num_parameters):>14s}  {', '.join(precisions)}")
    options = {**to_plain(weights.options), RECOMMENDED: to_plain(recommendation_in(weights.options, weights.origin))}
    lines += ["", *yaml.safe_dump(options, sort_keys=False, default_flow_style=None, width=120).splitlines()]
    fitting = fitting_presets(weights, CONFIGS)
    return [*lines, "", f"fits: {', '.join(fitting)}" if fitting else "fits: no preset here"]


def average(network: MimicBrushNetwork, other: MimicBrushNetwork, origin: str) -> None:
    """Make each parameter and buffer of `network` the mean of its own and the other's (arXiv 2203.05482).

    Integers stay. Raises UserError, which names `origin`, where the other's options differ (its recommended settings
    may), or the names or shapes of its tensors.
    """
    mine, theirs = (asdict(replace(each.options, recommended=RecommendedSettings())) for each in (network, other))
    faults = Faults()
    for name in mine:
        fits = mine[name] == theirs[name]
        faults.check(fits, f"{origin}: {name} is {theirs[name]}, expected {mine[name]}, as in the weights before it")
    faults.refuse()
    tensors = other.state_dict()
    require_fit(network, tensors, origin)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(tensors[name].to(tensor), 0.5)


def _load(config: ConvertConfig, weights: str) -> MimicBrushNetwork:
    path = find_weights(weights)
    if path.is_file() and not is_run(path):
        return load_release(path, config.network)
    return load_network(path, use_ema=config.use_ema)
