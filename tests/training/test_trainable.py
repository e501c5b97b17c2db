"""Runs that train adapters: trained tensors, content of the checkpoint, and loading as plain weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import UNet2DConditionModel

from mimicbrush.config import load_config
from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.lora import DOWN, add_lora, fold
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise, load_network
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.model.weights.trained_weights import read_weights
from mimicbrush.training.config import RecipeConfig, TrainConfig
from mimicbrush.training.run_setup import check_checkpoint, make_module, share_step
from mimicbrush.training.trainable import choose_trained
from tests.conftest import DEPTH, ONE_BLOCK, REPOSITORY, SIZE, one_block_config
from tests.training.test_training import config, fit

ADAPTERS = RecipeConfig(learning_rate=1e-2, warmup_steps=1, imitative_lora=2, reference_lora=3)


def adapter_config(shards: dict[str, Path], output: Path, network: NetworkConfig | None = None, **run) -> TrainConfig:
    return replace(config(shards, output, network=network, **run), recipe=ADAPTERS)


def last(run: Path) -> dict:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def predict(network: MimicBrushNetwork, batch: InpaintingBatch) -> torch.Tensor:
    network.eval()
    num = len(batch.source)
    keep, timestep = torch.ones(num, dtype=torch.bool), torch.full((num,), 500)
    told = network.condition(batch.source, batch.mask, batch.reference, keep, torch.Generator().manual_seed(0))
    noisy = torch.randn(told.background_latent.shape, generator=torch.Generator().manual_seed(1))
    features = network.reference_features(told.reference_latent, timestep, told.image_tokens)
    return network.predict(noisy, timestep, told, features)


@pytest.fixture(scope="module")
def adapted(shards_and_run, tmp_path_factory) -> TrainConfig:
    """A finished run that trained adapters; its folder may not be changed."""
    folder = tmp_path_factory.mktemp("adapted")
    settings = adapter_config(shards_and_run[0], folder / "run")
    with pytest.MonkeyPatch.context() as monkeypatch:
        fit(settings, folder, monkeypatch, with_doctor=True)
    return settings


@pytest.fixture
def batch(shards) -> InpaintingBatch:
    (batch,) = heldout_batches(shards["heldout"], SIZE, 2, 0, batch_size=2)
    return batch


@pytest.mark.parametrize("use_ema", [True, False])
def test_a_run_loads_as_plain_weights_that_predict_as_it_did(adapted, batch, use_ema):
    checkpoint = last(adapted.output)
    module = make_module(adapted)
    averaged = checkpoint["ema"] if use_ema else {}
    module.load_state_dict({**checkpoint["state_dict"], **averaged}, strict=True)
    loaded = load_network(adapted.output, use_ema=use_ema)
    assert loaded.state_dict().keys() == initialise(adapted.network).state_dict().keys()
    with torch.no_grad():
        expected, fresh = predict(module.network, batch), predict(initialise(adapted.network), batch)
        torch.testing.assert_close(predict(loaded, batch), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(fresh, expected, atol=1e-3)


def test_adapters_of_each_unet_and_seed_are_drawn_for_themselves():
    recipe, draws = RecipeConfig(imitative_lora=2, reference_lora=2), []
    for seed in (0, 1):
        network = initialise(one_block_config())
        choose_trained(network, recipe, seed=seed)
        for part in (network.reference_unet, network.imitative_unet):
            draws.append(next(value for name, value in part.named_parameters() if name.endswith(DOWN)))
        # Nor as random parts are drawn.
        again = initialise(one_block_config()).reference_unet
        add_lora(again, 2, seed=seed)
        draws.append(next(value for name, value in again.named_parameters() if name.endswith(DOWN)))
    assert not any(torch.equal(*pair) for pair in combinations(draws, 2))


def test_adapters_the_first_layer_and_the_projections_move_and_nothing_else(adapted):
    before = make_module(adapted).state_dict()
    stored = last(adapted.output)
    assert stored["state_dict"].keys() == before.keys()
    moved = {name for name, value in stored["state_dict"].items() if not torch.equal(value, before[name])}
    trained = ("lora_", "imitative_unet.conv_in", "image_projector", "shape_projector")
    assert moved == {name for name in before if any(word in name for word in trained)}
    assert moved == stored["ema"].keys()


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_every_trained_parameter_gets_a_gradient_in_a_training_step(shards, tmp_path, monkeypatch, projections):
    """DDP waits for the gradients of all of them."""
    settings = adapter_config(shards, tmp_path, one_block_config(reference_projections=projections), max_steps=1)
    without = []

    def note(module, optimizer) -> None:
        without.extend(name for name, value in module.named_parameters() if value.requires_grad and value.grad is None)

    monkeypatch.setattr("mimicbrush.training.module.MimicBrushModule.on_before_optimizer_step", note)
    fit(settings, tmp_path, monkeypatch)
    assert without == []


def test_what_can_be_fetched_again_is_left_out_and_fetched_again(shards, tmp_path, monkeypatch):
    """Both U-Nets of a released file are left out; of pretrained parts, the one that is not random."""
    depth = PartConfig(arguments=DEPTH)
    save_release(initialise(one_block_config(depth=depth), seed=5), tmp_path / "mimicbrush.bin")
    network = one_block_config(depth=depth, weights=str(tmp_path / "mimicbrush.bin"))
    fit(adapter_config(shards, tmp_path / "run", network), tmp_path, monkeypatch)
    assert not any("base_layer" in name for name in last(tmp_path / "run")["state_dict"])
    assert_folded(tmp_path / "run", initialise(network, seed=0))


def test_a_pretrained_part_is_the_base_of_its_adapters(shards, tmp_path, monkeypatch):
    torch.manual_seed(3)
    UNet2DConditionModel(**ONE_BLOCK | {"in_channels": 9}).save_pretrained(tmp_path / "unet")
    network = one_block_config(imitative_unet=PartConfig(pretrained=str(tmp_path / "unet")))
    fit(adapter_config(shards, tmp_path / "run", network), tmp_path, monkeypatch)
    stored = {name for name in last(tmp_path / "run")["state_dict"] if "imitative_unet" in name and "lora" not in name}
    assert stored == {"network.imitative_unet.conv_in.weight", "network.imitative_unet.conv_in.bias"}
    assert any("reference_unet" in name and "base_layer" in name for name in last(tmp_path / "run")["state_dict"])
    assert_folded(tmp_path / "run", initialise(network, seed=0))


def assert_folded(run: Path, start: MimicBrushNetwork) -> None:
    """Each base weight of the run is its start's plus what the adapters add."""
    tensors = {**last(run)["state_dict"], **last(run)["ema"]}
    loaded = load_network(run)
    for part in ("imitative_unet", "reference_unet"):
        prefix = f"network.{part}."
        trained = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        expected = fold({**getattr(start, part).state_dict(), **trained})
        torch.testing.assert_close(getattr(loaded, part).state_dict(), expected, rtol=0, atol=0)
        name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_q.weight"
        assert not torch.equal(expected[name], getattr(start, part).state_dict()[name])


def test_such_a_run_is_accepted_wherever_weights_are(shards, tmp_path, monkeypatch):
    """Another run starts from it, a third from that, and it is converted to both layouts."""
    depth = PartConfig(arguments=DEPTH)
    save_release(initialise(one_block_config(depth=depth), seed=5), tmp_path / "mimicbrush.bin")
    network = one_block_config(depth=depth, weights=str(tmp_path / "mimicbrush.bin"))
    fit(adapter_config(shards, tmp_path / "first", network), tmp_path, monkeypatch)
    first = load_network(tmp_path / "first")
    follow_up = replace(network, weights=str(tmp_path / "first"))
    fit(adapter_config(shards, tmp_path / "second", follow_up), tmp_path, monkeypatch)
    assert not any("base_layer" in name for name in last(tmp_path / "second")["state_dict"])
    assert_folded(tmp_path / "second", initialise(follow_up))
    second = load_network(tmp_path / "second")
    save_pretrained(second, tmp_path / "folder")
    save_release(second, tmp_path / "back.bin")
    for name, expected in (("first", first), ("second", second), ("folder", second), ("back.bin", second)):
        found = read_weights(str(tmp_path / name)).parts
        for part in ("imitative_unet", "reference_unet"):
            torch.testing.assert_close(found[part], dict(getattr(expected, part).state_dict()), rtol=0, atol=0)


def test_a_run_resumes_with_its_adapters_and_another_rank_is_refused(shards, tmp_path, monkeypatch):
    fit(adapter_config(shards, tmp_path / "run"), tmp_path, monkeypatch)
    fit(adapter_config(shards, tmp_path / "run", max_steps=4), tmp_path, monkeypatch)
    assert last(tmp_path / "run")["global_step"] == 4
    wider = replace(ADAPTERS, imitative_lora=4)
    module = make_module(replace(adapter_config(shards, tmp_path / "run"), recipe=wider))
    with pytest.raises(UserError, match=r"misshaped \(.*lora_A.default.weight is \(2, 8\), expected \(4, 8\)"):
        check_checkpoint(module, tmp_path / "run" / "checkpoints" / "last.ckpt", one_block_config())
    plain = make_module(config(shards, tmp_path / "run"))
    with pytest.raises(UserError, match="unexpected"):
        check_checkpoint(plain, tmp_path / "run" / "checkpoints" / "last.ckpt", one_block_config())


def test_a_base_that_is_gone_is_named(shards, tmp_path, monkeypatch):
    save_pretrained(initialise(one_block_config(), seed=5), tmp_path / "folder")
    network = one_block_config(weights=str(tmp_path / "folder"))
    fit(adapter_config(shards, tmp_path / "run", network), tmp_path, monkeypatch)
    settings = tmp_path / "run" / "config.yaml"
    document = yaml.safe_load(settings.read_text())
    document["network"]["weights"] = str(tmp_path / "moved")
    settings.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match="moved does not exist"):
        load_network(tmp_path / "run")


def test_adapters_beside_a_trained_reference_unet_are_refused():
    with pytest.raises(ValueError, match="train_reference trains the whole reference U-Net"):
        RecipeConfig(train_reference=True, reference_lora=4)
    with pytest.raises(ValueError, match="imitative_lora is -1"):
        RecipeConfig(imitative_lora=-1)


MEMORY_PRESETS = sorted((REPOSITORY / "configs" / "train").glob("mimicbrush_*gb.yaml"))


@pytest.mark.parametrize("path", MEMORY_PRESETS, ids=lambda path: path.stem)
def test_memory_presets_train_the_papers_batch(path):
    preset, paper = (load_config(TrainConfig, path.with_name(name)) for name in (path.name, "mimicbrush.yaml"))
    num_ranks = preset.run.devices * preset.run.num_nodes
    shared = share_step(preset, num_ranks)
    assert num_ranks * shared.run.accumulate * shared.data.batch_size == 64
    assert shared.data.batch_size == preset.data.batch_size
    assert preset.network == paper.network
