"""Parts are loaded from a single Stable Diffusion file, with the names of its own code."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation

from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.parts import load_part
from mimicbrush.model.weights.single_file import single_file_config
from tests.conftest import AUTOENCODER, UNET, network_config
from tests.single_files import original_tensors, write_single_file


@pytest.fixture(scope="module")
def parts() -> tuple[UNet2DConditionModel, AutoencoderKL]:
    torch.manual_seed(0)
    return UNet2DConditionModel(**UNET | {"in_channels": 9}), AutoencoderKL(**AUTOENCODER)


@pytest.fixture(scope="module")
def tensors(parts) -> dict[str, Tensor]:
    return original_tensors(*parts)


@pytest.mark.parametrize("name", ["sd.ckpt", "sd.safetensors", "sd.pt"])
def test_unet_and_autoencoder_are_read_without_the_hub(parts, tensors, tmp_path, name):
    path = write_single_file(tmp_path / name, tensors)
    network = initialise(
        network_config(
            # A preset's subfolder has no effect on a file.
            imitative_unet=PartConfig(pretrained=str(path), subfolder="unet", arguments=UNET),
            autoencoder=PartConfig(pretrained=str(path), arguments=AUTOENCODER),
        )
    )
    unet, autoencoder = parts
    torch.testing.assert_close(network.imitative_unet.conv_in.weight[:, :9], unet.conv_in.weight, rtol=0, atol=0)
    found = {name: tensor for name, tensor in network.imitative_unet.state_dict().items() if "conv_in" not in name}
    expected = {name: tensor for name, tensor in unet.state_dict().items() if name in found}
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(network.autoencoder.state_dict(), autoencoder.state_dict(), rtol=0, atol=0)


def test_precision_is_the_asked_one(tensors, tmp_path):
    path = write_single_file(tmp_path / "sd.ckpt", {name: tensor.half() for name, tensor in tensors.items()})
    config = PartConfig(pretrained=str(path), arguments=UNET)
    for dtype in (torch.float32, torch.bfloat16):
        unet = load_part("reference_unet", config, UNet2DConditionModel, dtype=dtype)
        assert {parameter.dtype for parameter in unet.parameters()} == {dtype}


def test_a_config_beside_the_file_is_used(parts, tmp_path):
    """Load one file of a folder in diffusers' layout."""
    parts[0].save_pretrained(tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    unet = load_part("imitative_unet", PartConfig(pretrained=str(path)), UNet2DConditionModel)
    torch.testing.assert_close(unet.state_dict(), parts[0].state_dict(), rtol=0, atol=0)


def test_sizes_are_stable_diffusions_where_none_are_given(tmp_path):
    first = torch.empty(320, 9, 3, 3, device="meta")
    tensors = {"model.diffusion_model.input_blocks.0.0.weight": first}
    config = single_file_config(tmp_path / "sd.ckpt", UNet2DConditionModel, tensors, {})
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
        autoencoder = AutoencoderKL(**single_file_config(tmp_path / "sd.ckpt", AutoencoderKL, {}, {}))
    assert unet.conv_in.weight.shape == first.shape
    assert sum(parameter.numel() for parameter in unet.parameters()) == 859_535_364
    assert sum(parameter.numel() for parameter in autoencoder.parameters()) == 83_653_863


def test_an_original_checkpoint_names_a_class_of_lightning_and_runs_nothing(parts, tensors, tmp_path, monkeypatch):
    """Lightning 1 wrote the callback's class as a key beside the tensors; it is not imported."""
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = tmp_path / "sd.ckpt"
    torch.save({"state_dict": tensors, "callbacks": {module.ModelCheckpoint: {"best_model_score": None}}}, path)
    monkeypatch.delitem(sys.modules, module.__name__)
    unet = load_part("imitative_unet", PartConfig(pretrained=str(path), arguments=UNET), UNet2DConditionModel)
    assert torch.equal(unet.conv_out.weight, parts[0].conv_out.weight)
    assert module.__name__ not in sys.modules


def test_nothing_in_a_pickle_is_executed(tensors, tmp_path):
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"state_dict": tensors, "extra": Bomb()}, tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps({"state_dict": Bomb()}))
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel", **UNET}))
    torch.save({"conv_in.weight": Bomb()}, tmp_path / "part" / "diffusion_pytorch_model.bin")
    for name in ("a.ckpt", "b.ckpt", "part"):
        config = PartConfig(pretrained=str(tmp_path / name), arguments=UNET)
        with pytest.raises(UserError, match=r"imitative_unet: .*which is never loaded"):
            load_part("imitative_unet", config, UNet2DConditionModel)
    assert not (tmp_path / "exploded").exists()


def test_missing_tensors_are_named(tensors, tmp_path):
    only = {name: tensor for name, tensor in tensors.items() if name.startswith("first_stage_model")}
    path = write_single_file(tmp_path / "vae.ckpt", only)
    load_part("autoencoder", PartConfig(pretrained=str(path), arguments=AUTOENCODER), AutoencoderKL)
    cases = {
        "does not hold a UNet2DConditionModel of these sizes": (path, UNET),
        "nowhere.ckpt: no such file": (tmp_path / "nowhere.ckpt", UNET),
        "nowhere.safetensors: no such file": (tmp_path / "nowhere.safetensors", UNET),
        "of these sizes": (write_single_file(tmp_path / "sd.ckpt", tensors), UNET | {"block_out_channels": [8, 8]}),
        "expected tensors by name": (write_single_file(tmp_path / "empty.ckpt", {}), UNET),
    }
    for message, (file, arguments) in cases.items():
        with pytest.raises(UserError, match=f"imitative_unet: .*{message}"):
            load_part("imitative_unet", PartConfig(pretrained=str(file), arguments=arguments), UNet2DConditionModel)
    del tensors["model.diffusion_model.middle_block.1.norm.weight"]
    with pytest.raises(UserError, match="imitative_unet: "):
        config = PartConfig(pretrained=str(write_single_file(tmp_path / "less.ckpt", tensors)), arguments=UNET)
        load_part("imitative_unet", config, UNet2DConditionModel)


@pytest.mark.parametrize("kind", [CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation])
def test_other_parts_need_a_folder(tmp_path, kind):
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(UserError, match="only a U-Net or an autoencoder is read from a single file; give a folder"):
        load_part("depth", PartConfig(pretrained=str(tmp_path / "model.safetensors")), kind)
