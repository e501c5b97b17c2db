"""A folder in diffusers' layout is written and read, and damage is named."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel

from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import from_pretrained, initialise, load_network
from mimicbrush.model.weights.exported_folder import save_pretrained
from tests.conftest import AUTOENCODER, one_block_config
from tests.model.conftest import as_trained, assert_same_weights, depth_config


class TestFolder:
    @pytest.mark.parametrize(
        "config",
        [
            one_block_config(),
            depth_config(),
            depth_config(reference_projections="reference", reference_blend=1.0, shape_in_channels=3),
            one_block_config(reference_timestep="zero", prediction_type="v_prediction"),
        ],
        ids=["edges", "release", "paper", "velocity"],
    )
    def test_what_is_saved_is_loaded(self, tmp_path, config):
        network = initialise(config, seed=3)
        save_pretrained(network, tmp_path / "folder")
        for load in (from_pretrained, load_network):
            loaded = load(tmp_path / "folder")
            assert_same_weights(loaded, network)
            assert loaded.options == network.options

    def test_it_does_not_say_where_its_parts_came_from(self, tmp_path):
        initialise(one_block_config()).autoencoder.save_pretrained(tmp_path / "secret")
        config = one_block_config(autoencoder=PartConfig(pretrained=str(tmp_path / "secret")))
        save_pretrained(initialise(config), tmp_path / "folder")
        assert not [path for path in (tmp_path / "folder").rglob("*.json") if "secret" in path.read_text()]

    @pytest.mark.parametrize("stored", [torch.float16, torch.float32])
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    def test_it_is_loaded_in_the_asked_precision_whatever_it_is_stored_in(self, exported, tmp_path, stored, dtype):
        _, network = exported
        save_pretrained(network, tmp_path / "folder", dtype=stored)
        loaded = load_network(tmp_path / "folder", dtype=dtype)
        rounded = {name: tensor.to(stored) for name, tensor in network.state_dict().items()}
        for name, tensor in loaded.state_dict().items():
            expected = torch.float32 if name.startswith("shape_map") else dtype
            assert tensor.dtype == expected
            assert torch.equal(tensor, rounded[name].to(expected))

    def test_it_is_diffusers_layout(self, exported):
        folder, network = exported
        index = json.loads((folder / "model_index.json").read_text())
        parts = {name: kind for name, kind in index.items() if isinstance(kind, list) and not name.startswith("_")}
        assert parts["unet"] == ["diffusers", "UNet2DConditionModel"]
        assert parts["depth_model"] == ["transformers", "DepthAnythingForDepthEstimation"]
        assert all((folder / name).is_dir() for name in parts)
        stock = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
        torch.testing.assert_close(stock.state_dict(), network.imitative_unet.state_dict(), rtol=0, atol=0)

    @pytest.mark.parametrize("trusted", [False, True])
    def test_plain_diffusers_names_the_package_that_it_needs(self, tmp_path, monkeypatch, trusted):
        save_pretrained(initialise(one_block_config()), tmp_path / "folder")
        monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
        for name in [name for name in sys.modules if name.partition(".")[0] == "mimicbrush"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "mimicbrush", None)
        error, text = (ImportError, "install the package, and") if trusted else (ValueError, "install_the_mimicbrush_")
        with pytest.raises(error, match=text):
            DiffusionPipeline.from_pretrained(tmp_path / "folder", trust_remote_code=trusted)

    def test_training_goes_on_from_it(self, exported):
        folder, network = exported
        assert_same_weights(initialise(depth_config(weights=str(folder)), seed=4), network)

    def test_other_options_are_warned_of(self, exported):
        with pytest.warns(UserWarning, match=r"trained with reference_blend 0\.5, not 1\.0"):
            initialise(depth_config(weights=str(exported[0]), reference_blend=1.0))

    def test_a_run_from_before_parts_had_revisions_is_warned_of_nothing(self, recwarn):
        """Its frozen parts are left out, and its config says less of where they come from."""
        config = depth_config()
        options = json.loads(json.dumps(asdict(config)))
        for name in ("reference_unet", "autoencoder", "image_encoder", "depth"):
            del options[name]["variant"], options[name]["revision"]
        source = as_trained(initialise(config))._replace(options=options)
        for name in ("reference_unet", "autoencoder", "image_encoder", "shape_map"):
            del source.parts[name]
        initialise(config, checkpoint=source)
        assert not [warning for warning in recwarn if "was trained with" in str(warning.message)]
        with pytest.warns(UserWarning, match="was trained with autoencoder"):
            initialise(
                replace(config, autoencoder=PartConfig(arguments=AUTOENCODER, variant="fp16")), checkpoint=source
            )

    def test_existing_folder_is_left_alone(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with pytest.raises(UserError, match="exists"):
            save_pretrained(initialise(one_block_config()), tmp_path / "folder")

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (lambda folder: next((folder / "unet").glob("*.safetensors")).unlink(), r"unet: no \.safetensors file"),
            (
                lambda folder: next((folder / "vae").glob("*.safetensors")).write_bytes(b"\x08" + bytes(40)),
                r"vae.*damaged",
            ),
            (lambda folder: shutil.rmtree(folder / "depth_model"), r"depth_model: no \.safetensors file"),
            (lambda folder: (folder / "network.json").write_text("{"), r"network\.json: damaged"),
            (
                lambda folder: (folder / "vae" / "config.json").unlink(),
                r"autoencoder: .*/vae holds diffusion_pytorch_model\.safetensors, no config\.json",
            ),
        ],
        ids=["missing", "damaged", "depth", "options", "config"],
    )
    def test_damage_is_named(self, exported, tmp_path, damage: Callable, complaint: str):
        shutil.copytree(exported[0], tmp_path / "folder")
        damage(tmp_path / "folder")
        with pytest.raises(UserError, match=complaint):
            from_pretrained(tmp_path / "folder")
