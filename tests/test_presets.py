"""The header of each preset lists all fields that differ from the paper or from the released code."""

import re
from pathlib import Path

import pytest

from mimicbrush.config import load_config
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.run_setup import share_step
from tests.conftest import REPOSITORY

TRAIN = REPOSITORY / "configs" / "train"
PRESETS = sorted({*TRAIN.glob("*.yaml"), *TRAIN.glob("world/*.yaml")} - {TRAIN / "autoencoder.yaml"})

BOTH = {
    "network.size": 512,
    "network.prediction_type": "epsilon",
    "network.use_image_tokens": True,
    "network.imitative_unet.pretrained": "stable-diffusion-v1-5/stable-diffusion-inpainting",
    "network.reference_unet.pretrained": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "network.autoencoder.pretrained": "stabilityai/sd-vae-ft-mse",
    "network.image_encoder.pretrained": "h94/IP-Adapter",
    "network.depth.pretrained": "LiheYoung/depth-anything-base-hf",
    "network.shape_channels": (16, 32, 64, 128),
    "data.batch.mask.min_cells": 3,
    "data.batch.mask.max_cells": 10,
    "data.batch.mask.grid_share": 1.0,
    "data.batch.mask.box_share": 0.0,
    "data.batch.mask.brush_share": 0.0,
    "recipe.mask_weight": 1.0,
    "recipe.matching_weight": 0.0,
    "recipe.min_snr_gamma": 0.0,
    "recipe.shape_drop_prob": 0.5,
    "recipe.reference_gradient": "full",
    "recipe.imitative_lora": 0,
    "recipe.reference_lora": 0,
}
PAPER = BOTH | {
    "network.shape_in_channels": 3,
    "network.reference_projections": "reference",
    "network.reference_blend": 1.0,
    "network.conv_in": "random",
    "data.sources.weight": (0.7, 0.3),
    "data.batch.mask.hot_cells": "matched",
    "data.batch.mask.keypoint_cell_prob": 0.75,
    "data.batch.mask.other_cell_prob": 0.5,
    "recipe.learning_rate": 1e-5,
    "recipe.weight_decay": 0.0,
    "recipe.optimizer": "adamw",
    "recipe.reference_drop_prob": 0.1,
    "recipe.train_reference": True,
    "run.samples_per_step": 64,
}
"""arXiv 2406.07547, sections 3.2, 3.3, 4.1 and figure 3, and its author's answers; Adam is AdamW without decay."""
RELEASE = BOTH | {
    "network.shape_in_channels": 1,
    "network.depth_input": "released",
    "network.reference_projections": "imitative",
    "network.reference_blend": 0.5,
    "network.reference_timestep": "current",
    "data.batch.mask.hot_cells": "densest",
    "data.batch.mask.keypoint_cell_prob": 0.7,
    "data.batch.mask.other_cell_prob": 0.3,
    "recipe.reference_drop_prob": 0.25,
}
"""Values of the released code, which of training only has the masks and the dropping of references."""

HEADINGS = {
    "# Differs from the paper (setting: what the paper has):": {"paper"},
    "# Differs from the release (setting: what the release has):": {"release"},
    "# Differs from paper and release (setting: reason):": {"paper", "release"},
}


def value_of(config: TrainConfig, field: str) -> object:
    if field == "data.sources.weight":
        return tuple(source.weight for source in config.data.sources)
    value = config
    for name in field.split("."):
        value = getattr(value, name, None)
    return value


def departures(config: TrainConfig, original: dict[str, object]) -> set[str]:
    return {field for field, value in original.items() if value_of(config, field) != value}


def named_in_header(path: Path, original: str) -> set[str]:
    """Fields in the indented lines below the headings that are for this original."""
    named, is_counted = set(), False
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("#   "):
            is_counted = original in HEADINGS.get(line, ())
        elif is_counted:
            named |= set(re.findall(r"\b(?:network|data|recipe|run)(?:\.[a-z_]+)+", line))
    return named


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_header_names_every_departure_and_no_other(path):
    config = load_config(TrainConfig, path)
    assert named_in_header(path, "paper") == departures(config, PAPER)
    assert named_in_header(path, "release") == departures(config, RELEASE)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_step_takes_as_many_samples_on_any_number_of_devices(path):
    config = load_config(TrainConfig, path)
    for num_ranks in (number for number in (1, 2, 4, 8, 16) if number <= config.run.samples_per_step):
        shared = share_step(config, num_ranks)
        assert num_ranks * shared.data.batch_size * shared.run.accumulate == config.run.samples_per_step
    # On the hardware of the preset, with its batch size.
    assert share_step(config, config.run.devices).data.batch_size == config.data.batch_size
