"""Parts of every preset load from repositories with the same files as the real ones."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel
from huggingface_hub import constants
from transformers import DepthAnythingForDepthEstimation

import train
from mimicbrush.command import call_command
from mimicbrush.config import dump_config, load_config, parse_config
from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.hub.locations import is_repository
from mimicbrush.hub.weight_files import TRANSFORMERS, choose_weights
from mimicbrush.model.config import NetworkConfig, PartConfig, released_network
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.parts import load_part
from mimicbrush.run_folder import find_difference
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.training.config import TrainConfig
from tests.conftest import REPOSITORY
from tests.hub_layouts import INPAINTING, LAYOUTS, PARTS, STABLE_DIFFUSION, write_cache

TRAINED = sorted((REPOSITORY / "configs" / "train").glob("mimicbrush*.yaml"))
CHECKED = [path for path in TRAINED if path.stem != "mimicbrush_24gb"]
PART_NAMES = ("imitative_unet", "reference_unet", "autoencoder", "image_encoder", "depth")


def parts_of(network: NetworkConfig) -> list[PartConfig]:
    parts = [getattr(network, name) for name in PART_NAMES]
    return [part for part in parts if part is not None and part.pretrained and is_repository(part.pretrained)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    write_cache(folder, PARTS, {})
    return folder


@pytest.fixture
def offline(cache, monkeypatch) -> Path:
    """A hub that has only its cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def test_manifest_lists_every_repository_that_is_named():
    named = {part.pretrained for path in TRAINED for part in parts_of(load_config(TrainConfig, path).network)}
    named |= {part.pretrained for part in parts_of(released_network())}
    models = ModelsConfig()
    named |= {source for source in vars(models).values() if is_repository(source)}
    named |= {PhotographMaskConfig(method="grabcut").sam, StableDiffusionInpainting.__init__.__defaults__[0]}
    assert named == LAYOUTS.keys()
    for layout in LAYOUTS.values():
        assert layout["sources"] or layout["inferred"]


def test_pinned_revisions_are_the_manifests_and_name_their_source():
    for path in TRAINED:
        for part in parts_of(load_config(TrainConfig, path).network):
            commit = LAYOUTS[part.pretrained]["commit"]
            assert part.revision == commit
    readme = (REPOSITORY / "configs" / "README.md").read_text()
    for name, layout in LAYOUTS.items():
        assert name in readme and (layout["commit"] is None or layout["commit"] in readme)


@pytest.mark.parametrize("name", ["facebook/dino-vits16", "facebook/dinov2-base", "openai/clip-vit-base-patch32"])
def test_metrics_networks_have_weights_to_choose(name):
    assert choose_weights(LAYOUTS[name]["files"], TRANSFORMERS)


def small_check(path: Path, shards: dict[str, Path], output: Path) -> list[str]:
    """Arguments that check a preset with small pictures on a CPU."""
    sources = [{"shards": str(shards["videos"]), "weight": 0.7}, {"shards": str(shards["stills"]), "weight": 0.3}]
    arguments = {
        "config": path,
        "check": "true",
        "output": output,
        "network.size": 64,
        "data.sources": json.dumps(sources),
        "data.heldout": shards["heldout"],
        "data.batch_size": 2,
        "data.num_workers": 0,
        "recipe.optimizer": "adamw",  # adamw8bit needs an optional package
        "run.devices": 1,
        "run.accelerator": "cpu",
        "run.max_steps": 1,
        "run.num_reference_use_pairs": 4,
    }
    return [f"--{name}={value}" for name, value in arguments.items()]


def test_the_preset_that_is_not_checked_is_checked_as_another(shards, tmp_path):
    paths = (REPOSITORY / "configs" / "train" / f"mimicbrush_{size}gb.yaml" for size in (24, 40))
    one, other = (parse_config(TrainConfig, small_check(path, shards, tmp_path)) for path in paths)
    assert one == other


@pytest.mark.parametrize("path", CHECKED, ids=[path.stem for path in CHECKED])
def test_every_preset_passes_its_check(path, offline, shards, tmp_path, capsys, caplog):
    with pytest.raises(SystemExit) as exit_, caplog.at_level(logging.WARNING, logger="mimicbrush"):
        call_command(train.COMMAND, small_check(path, shards, tmp_path / "run"))
    printed = capsys.readouterr()
    assert exit_.value.code == 0, printed.out
    # Compared as words, because the table is wrapped to the width of the terminal.
    assert f"{INPAINTING}: imitative_unet" in " ".join(printed.out.split())
    assert "Error no file named" not in printed.err + caplog.text
    assert [record.getMessage() for record in caplog.records if record.name.startswith("mimicbrush")] == [
        f"imitative_unet: {INPAINTING}/unet has no plain weights: used the variant fp16"
    ]


def test_released_sizes_are_completed_from_the_hub(offline):
    parts = {name: getattr(released_network(), name) for name in ("autoencoder", "depth")}
    assert parts["autoencoder"].pretrained == "stabilityai/sd-vae-ft-mse"
    for name, kind in (("autoencoder", AutoencoderKL), ("depth", DepthAnythingForDepthEstimation)):
        part = load_part(name, parts[name], kind)
        assert {tensor.dtype for tensor in part.parameters()} == {torch.float32}


def test_stable_diffusion_repositories_are_tried_in_order(offline):
    def load(name: str, **fields: object) -> UNet2DConditionModel:
        return load_part("unet", PartConfig(pretrained=name, subfolder="unet", **fields), UNet2DConditionModel)

    plain, half, raw = (load(STABLE_DIFFUSION, variant=variant) for variant in (None, "fp16", "non_ema"))
    torch.testing.assert_close(half.state_dict(), plain.state_dict(), rtol=1e-3, atol=1e-6)
    assert not torch.equal(half.conv_in.weight, plain.conv_in.weight)
    assert not torch.allclose(raw.conv_in.weight, plain.conv_in.weight, atol=1e-3)
    only_half = load(INPAINTING)
    assert only_half.dtype == torch.float32
    assert torch.equal(only_half.conv_in.weight, only_half.conv_in.weight.half().float())


def test_network_is_built_of_the_presets_parts(offline):
    network = load_config(TrainConfig, TRAINED[0]).network
    built = initialise(network)
    assert built.imitative_unet.conv_in.weight.shape[1] == 13
    assert not built.imitative_unet.conv_in.weight[:, 9:].any()


def test_a_run_older_than_part_revisions_resumes(tmp_path):
    config = load_config(TrainConfig, REPOSITORY / "configs" / "train" / "tiny.yaml")
    old = yaml.safe_load(dump_config(config))
    for name in PART_NAMES:
        for field in ("variant", "revision") if old["network"][name] else ():
            del old["network"][name][field]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    assert find_difference(tmp_path, config) is None
