"""Frozen parts are loaded directly in their precision, with the same values as if converted later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.weights import parts
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.precision import frozen_precisions, store_frozen
from mimicbrush.training.run_setup import make_module
from mimicbrush.training.trainable import choose_trained
from tests.conftest import DEPTH, ONE_BLOCK, one_block_config
from tests.hub_layouts import make_unet


def config_of(network: NetworkConfig, **recipe: object) -> TrainConfig:
    run = RunConfig(frozen_precision="bfloat16", channels_last=False)
    data = DataConfig(sources=[SourceConfig(shards=Path("nowhere"), weight=1)])
    return TrainConfig(output=Path("run"), network=network, data=data, run=run, recipe=RecipeConfig(**recipe))


@pytest.fixture(scope="module", params=["random", "separate", "pretrained", "weights"])
def network(request, tmp_path_factory) -> NetworkConfig:
    """Configs with random parts, with parts from fp16 files, and with trained weights."""
    tmp_path = tmp_path_factory.mktemp(request.param)
    config = one_block_config(depth=PartConfig(arguments=DEPTH))
    match request.param:
        case "separate":
            return replace(config, imitative_unet=PartConfig(arguments=ONE_BLOCK))
        case "pretrained":
            make_unet().half().save_pretrained(tmp_path / "unet", variant="fp16")
            return replace(config, reference_unet=PartConfig(pretrained=str(tmp_path / "unet")))
        case "weights":
            save_pretrained(initialise(config, seed=4), tmp_path / "weights", dtype=torch.float16)
            return replace(config, weights=str(tmp_path / "weights"))
    return config


@pytest.mark.parametrize("recipe", [{}, {"train_reference": True}, {"imitative_lora": 2, "reference_lora": 2}])
def test_the_same_numbers_are_kept_in_the_same_precision(network, recipe):
    config = config_of(network, **recipe)
    found = make_module(config).network.state_dict()
    # The reference: everything in float32, then converted.
    expected = initialise(network, seed=config.seed)
    choose_trained(expected, config.recipe, seed=config.seed)
    store_frozen(expected, "bfloat16")
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        name: tensor.dtype for name, tensor in expected.state_dict().items()
    }
    torch.testing.assert_close(found, expected.state_dict(), rtol=0, atol=0)


def test_no_frozen_part_is_made_in_float32_on_the_way(tmp_path, monkeypatch):
    make_unet().save_pretrained(tmp_path / "unet")
    unet = PartConfig(pretrained=str(tmp_path / "unet"))
    loaded = {}

    def load_part(name: str, config: PartConfig, kind: type, *, dtype: torch.dtype):
        loaded[name] = dtype
        return original(name, config, kind, dtype=dtype)

    original = parts.load_part
    monkeypatch.setattr(parts, "load_part", load_part)
    make_module(config_of(one_block_config(reference_unet=unet, imitative_unet=unet)))
    half = {"reference_unet", "autoencoder", "image_encoder"}
    assert loaded == {name: torch.bfloat16 if name in half else torch.float32 for name in (*half, "imitative_unet")}


def test_trained_parts_stay_in_float32():
    assert frozen_precisions(RecipeConfig(), "float16") == dict.fromkeys(
        ("autoencoder", "image_encoder", "reference_unet"), torch.float16
    )
    for recipe in (RecipeConfig(train_reference=True), RecipeConfig(reference_lora=2)):
        assert "reference_unet" not in frozen_precisions(recipe, "float16")
