"""Find the presets that weights fit, by the names and shapes of tensors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from mimicbrush.config import config_from_dict
from mimicbrush.config_layers import read_config_file
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, PartConfig, released_network
from mimicbrush.model.weights.parts import build_parts
from mimicbrush.model.weights.tensors import TrainedWeights

COMPARED_PARTS = ("imitative_unet", "reference_unet", "image_projector", "shape_projector")
"""Parts whose shapes are compared; the others are the same in many presets."""


def fitting_presets(weights: TrainedWeights, configs: Path | None = None) -> list[str]:
    """Names of the presets that these weights fit: known ones, and those of the folder `configs` that give sizes."""
    found = {name: {key: tuple(t.shape) for key, t in tensors.items()} for name, tensors in weights.parts.items()}
    known = {name: part_shapes(config) for name, config in (_presets_in(configs) if configs else {}).items()}
    fitting = []
    for name, shapes in {**_known_shapes(), **known}.items():
        if all(found[part] == shapes[part] for part in COMPARED_PARTS if part in found):
            fitting.append(name)
    return fitting


def part_shapes(config: NetworkConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes as part -> tensor -> shape, without memory for weights, autoencoder or depth model."""
    config = replace(config, autoencoder=PartConfig(), depth=None)
    parts = build_parts(config, empty=("autoencoder", "image_encoder", *COMPARED_PARTS))
    return {name: {key: tuple(t.shape) for key, t in parts[name].state_dict().items()} for name in COMPARED_PARTS}


@cache
def _known_shapes() -> dict[str, dict[str, dict[str, tuple[int, ...]]]]:
    """Shapes of the known presets, cached because the large networks take seconds to build."""
    return {name: part_shapes(config) for name, config in known_presets().items()}


def known_presets() -> dict[str, NetworkConfig]:
    """Presets of `configs/train` that load hub repositories, given by their sizes, so that no hub is needed."""
    release = released_network()
    paper = replace(release, reference_projections="reference", reference_blend=1.0, shape_in_channels=3)
    return {"the release (mimicbrush.yaml)": release, "the paper (mimicbrush_paper.yaml)": paper}


def _presets_in(folder: Path) -> dict[str, NetworkConfig]:
    presets = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            document = read_config_file(path)
            config = config_from_dict(NetworkConfig, document["network"])
        except (UserError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
            continue  # not a training preset
        if config.reference_unet.arguments and not config.image_encoder.pretrained:
            presets[str(path)] = config
    return presets
