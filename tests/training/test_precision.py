"""Frozen weights in half precision, trained ones in float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.model.config import PartConfig
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import load_network
from mimicbrush.training.config import RecipeConfig, TrainConfig
from mimicbrush.training.run_setup import check_checkpoint, make_module
from tests.conftest import DEPTH, SIZE, one_block_config
from tests.training.test_training import config, fit

HALVES = ("bfloat16", "float16")
FROZEN = ("autoencoder", "image_encoder", "reference_unet")


def half_config(shards: dict, output: Path, dtype: str = "bfloat16", lora: int = 0, **run) -> TrainConfig:
    mixed = "16-mixed" if dtype == "float16" else "bf16-mixed"
    fields = {"frozen_precision": dtype, "precision": mixed if lora else "32-true"}
    settings = config(shards, output, network=one_block_config(depth=PartConfig(arguments=DEPTH)), **fields | run)
    recipe = RecipeConfig(learning_rate=1e-3, warmup_steps=1, imitative_lora=lora, reference_lora=lora)
    return replace(settings, recipe=recipe)


def dtypes(module: torch.nn.Module) -> set[torch.dtype]:
    return {parameter.dtype for parameter in module.parameters()}


def error(network: MimicBrushNetwork, batch: InpaintingBatch) -> torch.Tensor:
    """Noise-prediction error of two held-out pairs, the second without its reference's tokens."""
    network.eval()
    num = len(batch.source)
    keep, timestep = torch.ones(num, dtype=torch.bool), torch.full((num,), 500)
    told = network.condition(batch.source, batch.mask, batch.reference, keep, torch.Generator().manual_seed(0))
    absent = network.absent_tokens()
    told = told._replace(image_tokens=torch.cat([told.image_tokens[:1], absent]))
    noise = torch.randn(told.background_latent.shape, generator=torch.Generator().manual_seed(1))
    noisy = noise + network.encode(batch.source, torch.Generator().manual_seed(2))
    features = network.reference_features(told.reference_latent, timestep, told.image_tokens)
    return (network.predict(noisy, timestep, told, features) - noise).square().mean()


@pytest.fixture
def batch(shards) -> InpaintingBatch:
    (batch,) = heldout_batches(shards["heldout"], SIZE, 2, 0, batch_size=2)
    return batch


def test_frozen_parts_alone_change_precision(shards, tmp_path):
    network = make_module(half_config(shards, tmp_path)).network
    for part in FROZEN:
        assert dtypes(getattr(network, part)) == {torch.bfloat16}
    for part in ("imitative_unet", "image_projector", "shape_projector", "shape_map"):
        assert dtypes(getattr(network, part)) == {torch.float32}


def test_a_trained_reference_unet_stays(shards, tmp_path):
    settings = replace(half_config(shards, tmp_path), recipe=RecipeConfig(train_reference=True))
    assert dtypes(make_module(settings).network.reference_unet) == {torch.float32}


def test_below_adapters_the_matrices_change_and_what_is_trained_stays(shards, tmp_path):
    network = make_module(half_config(shards, tmp_path, lora=2)).network
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    for unet in (network.imitative_unet, network.reference_unet):
        half = {name for name, value in unet.named_parameters() if value.dtype == torch.bfloat16}
        frozen = {name for name, value in unet.named_parameters() if not value.requires_grad}
        assert frozen - half == {name for name in frozen if "norm" in name}


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_the_loss_stays_near_with_and_without_autocast(shards, tmp_path, batch, precision, autocast, projections):
    settings = half_config(shards, tmp_path)
    settings = replace(settings, network=replace(settings.network, reference_projections=projections))
    errors = []
    for name in ("float32", precision):
        network = make_module(replace(settings, run=replace(settings.run, frozen_precision=name))).network
        with torch.autocast("cpu", getattr(torch, precision), enabled=autocast):
            loss = error(network, batch)
        loss.backward()
        errors.append(loss.detach().float())
    torch.testing.assert_close(errors[1], errors[0], rtol=0.01, atol=0)


@pytest.mark.parametrize("precision", HALVES)
def test_adapters_over_half_precision_stay_near(shards, tmp_path, batch, precision):
    errors = []
    for name in ("float32", precision):
        network = make_module(half_config(shards, tmp_path, name, lora=2)).network
        with torch.autocast("cpu", getattr(torch, precision)):
            loss = error(network, batch)
        loss.backward()
        errors.append(loss.detach().float())
    torch.testing.assert_close(errors[1], errors[0], rtol=0.01, atol=0)


def test_two_kinds_of_half_precision_do_not_mix(shards, tmp_path):
    with pytest.raises(ValueError, match="frozen_precision is float16, precision bf16-mixed; make both the same half"):
        half_config(shards, tmp_path, "float16", precision="bf16-mixed")


def test_adapters_over_half_precision_need_autocast(shards, tmp_path):
    with pytest.raises(ValueError, match=r"set run\.precision to bf16-mixed"):
        half_config(shards, tmp_path, lora=2, precision="32-true")


@pytest.mark.parametrize("lora", [0, 2])
def test_a_run_previews_resumes_and_loads_in_single_precision(shards, tmp_path, monkeypatch, lora):
    settings = half_config(shards, tmp_path / "run", lora=lora, preview_every=2)
    fit(settings, tmp_path, monkeypatch, with_doctor=True)
    assert (tmp_path / "run" / "previews" / "step-0000002.png").is_file()
    fit(settings, tmp_path, monkeypatch, "--run.max_steps", "3")
    assert dtypes(load_network(tmp_path / "run")) == {torch.float32}
    # A run's checkpoint may be read in another precision.
    single = replace(settings, run=replace(settings.run, frozen_precision="float32"))
    check_checkpoint(make_module(single), tmp_path / "run" / "checkpoints" / "last.ckpt", single.network)
