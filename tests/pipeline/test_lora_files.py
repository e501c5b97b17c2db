"""A run's adapters as a file: its base and the file are the run, in this pipeline, and in diffusers."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import pytest
import torch
from accelerate import cpu_offload
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mimicbrush.command import call_command
from mimicbrush.errors import UserError
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.__main__ import COMMANDS
from mimicbrush.model.weights.build import initialise, load_network
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.pipeline import MimicBrushPipeline
from tests.conftest import one_block_config
from tests.training.test_trainable import ADAPTERS, adapter_config
from tests.training.test_training import config, fit

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_q"


@pytest.fixture(scope="module")
def base(lora_folder) -> MimicBrushNetwork:
    return load_network(lora_folder / "base")


@pytest.fixture
def pipe(base) -> MimicBrushPipeline:
    return MimicBrushPipeline.from_network(copy.deepcopy(base))


def weights(network: MimicBrushNetwork) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_equal(found: dict, expected: dict, *, atol: float = 0) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_at_scale_one_the_base_is_the_run_at_zero_itself_and_between_in_between(lora_folder, pipe):
    base, run = weights(pipe.network), weights(load_network(lora_folder / "run"))
    assert not torch.allclose(run["imitative_unet.conv_in.weight"], base["imitative_unet.conv_in.weight"], atol=1e-4)
    pipe.load_lora_weights(lora_folder / "lora.safetensors")
    assert pipe.get_active_adapters() == ["default_0"]
    assert_equal(weights(pipe.network), run, atol=1e-6)
    pipe.set_adapters("default_0", 0.0)
    assert_equal(weights(pipe.network), base)
    pipe.set_adapters(["default_0"], [0.25])
    assert_equal(weights(pipe.network), {name: base[name].lerp(run[name], 0.25) for name in base}, atol=1e-6)
    pipe.unload_lora_weights()
    assert_equal(weights(pipe.network), base)
    assert pipe.get_active_adapters() == []


def test_without_averages_it_is_the_run_without_averages(lora_folder, pipe, tmp_path):
    export_lora(str(lora_folder / "run"), tmp_path / "last.safetensors", use_ema=False)
    pipe.load_lora_weights(tmp_path, weight_name="last.safetensors")
    assert_equal(weights(pipe.network), weights(load_network(lora_folder / "run", use_ema=False)), atol=1e-6)


def test_several_adapters_add_up_and_what_is_not_named_rests(lora_folder, pipe):
    base = weights(pipe.network)
    for name in ("first", "second"):
        pipe.load_lora_weights(lora_folder / "lora.safetensors", name)
    pipe.set_adapters(["first", "second"], [0.25, 0.5])
    both = weights(pipe.network)
    pipe.set_adapters("second", 0.75)
    assert_equal(both, weights(pipe.network), atol=1e-6)
    with pytest.raises(UserError, match="no adapter third is loaded; loaded: first, second"):
        pipe.set_adapters("third")
    with pytest.raises(UserError, match="an adapter first is loaded already"):
        pipe.load_lora_weights(lora_folder / "lora.safetensors", "first")
    pipe.unload_lora_weights()
    assert_equal(weights(pipe.network), base)


def test_what_is_saved_with_a_file_loaded_is_the_run(lora_folder, pipe, tmp_path):
    pipe.load_lora_weights(lora_folder / "lora.safetensors")
    pipe.save_pretrained(tmp_path / "merged")
    assert_equal(weights(load_network(tmp_path / "merged")), weights(load_network(lora_folder / "run")), atol=1e-6)


def test_weights_that_are_offloaded_layer_by_layer_are_left_alone(lora_folder, pipe):
    cpu_offload(pipe.unet)
    with pytest.raises(UserError, match="load LoRA files before that"):
        pipe.load_lora_weights(lora_folder / "lora.safetensors")
    assert pipe.get_active_adapters() == []


def test_the_file_says_what_it_is(lora_folder):
    with safe_open(lora_folder / "lora.safetensors", "pt") as file:
        metadata, names = file.metadata(), list(file.keys())
    adapters = json.loads(metadata["lora_adapter_metadata"])
    assert (adapters["unet.r"], adapters["unet.lora_alpha"], adapters["reference_unet.r"]) == (2, 2, 3)
    assert adapters["unet.target_modules"] == ["to_q", "to_k", "to_v", "to_out.0"]
    described = json.loads(metadata["mimicbrush"])
    assert described["base"] == str(lora_folder / "base")
    assert described["fingerprints"].keys() == {"imitative_unet", "reference_unet", "autoencoder", "image_encoder"}
    assert {name for name in names if "unet.conv_in" in name} == {
        "beside_lora.unet.conv_in.weight",
        "beside_lora.unet.conv_in.bias",
    }
    assert f"unet.{LAYER}.lora_A.weight" in names


@pytest.mark.parametrize(("folder", "part"), [("unet", "imitative_unet"), ("reference_unet", "reference_unet")])
def test_plain_diffusers_loads_the_adapters_of_both_unets(lora_folder, pipe, folder, part):
    layer = getattr(pipe.network, part).get_submodule(LAYER).weight
    stock = UNet2DConditionModel.from_pretrained(lora_folder / "base" / "unet", low_cpu_mem_usage=False)
    stock.get_submodule(LAYER).weight.data = layer.data.clone()
    stock.load_lora_adapter(str(lora_folder / "lora.safetensors"), prefix=folder)
    stock.fuse_lora()
    expected = load_network(lora_folder / "run").state_dict()[f"{part}.{LAYER}.weight"]
    found = stock.get_submodule(LAYER).get_base_layer().weight
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert not torch.equal(found, layer)


def test_a_stable_diffusion_pipeline_loads_the_file(lora_folder):
    stock = UNet2DConditionModel.from_pretrained(lora_folder / "base" / "unet")
    absent = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    network = initialise(one_block_config())
    plain = StableDiffusionPipeline(
        vae=network.autoencoder, unet=stock, scheduler=DDIMScheduler(), requires_safety_checker=False, **absent
    )
    plain.load_lora_weights(str(lora_folder / "lora.safetensors"))
    adapter = stock.get_submodule(LAYER)
    found = adapter.lora_B["default_0"].weight @ adapter.lora_A["default_0"].weight
    tensors = load_file(lora_folder / "lora.safetensors")
    assert torch.equal(found, tensors[f"unet.{LAYER}.lora_B.weight"] @ tensors[f"unet.{LAYER}.lora_A.weight"])


def test_another_base_is_warned_of_and_the_same_in_half_precision_is_not(lora_folder, tmp_path, caplog):
    for dtype in (torch.float16, torch.bfloat16):
        MimicBrushPipeline.from_pretrained(lora_folder / "base", dtype=dtype).load_lora_weights(
            lora_folder / "lora.safetensors"
        )
    save_pretrained(load_network(lora_folder / "base"), tmp_path / "half", dtype=torch.bfloat16)
    MimicBrushPipeline.from_pretrained(tmp_path / "half").load_lora_weights(lora_folder / "lora.safetensors")
    assert caplog.messages == []
    other = initialise(one_block_config(), seed=5)
    torch.nn.init.ones_(other.reference_unet.conv_in.bias)
    MimicBrushPipeline.from_network(other).load_lora_weights(lora_folder / "lora.safetensors")
    (said,) = caplog.messages
    assert f"was trained on {lora_folder / 'base'}, and these weights have another reference_unet: edits will" in said


def test_layers_and_ranks_that_do_not_fit_are_named(lora_folder, tmp_path, pipe):
    before = weights(pipe.network)
    tensors = load_file(lora_folder / "lora.safetensors")
    with safe_open(lora_folder / "lora.safetensors", "pt") as file:
        metadata = file.metadata()

    def refused(changed: dict[str, torch.Tensor], match: str) -> None:
        save_file(changed, tmp_path / "other.safetensors", metadata)
        with pytest.raises(UserError, match=match):
            pipe.load_lora_weights(tmp_path / "other.safetensors")

    down, up = f"unet.{LAYER}.lora_A.weight", f"unet.{LAYER}.lora_B.weight"
    refused(
        tensors | {down: torch.zeros(4, tensors[down].shape[1])},
        rf"1 of other sizes \(imitative_unet\.{LAYER} has B and A \(\(8, 2\), \(4, 8\)\), expected \(\(8, 2\), \(2",
    )
    refused(
        tensors | {name.replace(LAYER, "mid_block.to_q"): tensors[name].clone() for name in (down, up)},
        r"1 missing from it \(imitative_unet\.mid_block\.to_q\); it was trained on .*base",
    )
    refused(
        tensors | {"beside_lora.unet.conv_in.weight": torch.zeros(8, 4, 3, 3)},
        r"imitative_unet\.conv_in\.weight is \(8, 4, 3, 3\), expected \(8, 13, 3, 3\)",
    )
    refused({name: tensor for name, tensor in tensors.items() if name != up}, rf"without their partner .*{LAYER}")
    refused(tensors | {"text_encoder.x.lora_A.weight": torch.zeros(2, 2)}, "not a LoRA file|of no adapter")
    refused(tensors | {down: torch.full_like(tensors[down], torch.nan)}, "1 tensors are damaged")
    assert_equal(weights(pipe.network), before)


def test_what_is_no_such_file_is_refused_in_one_sentence(lora_folder, tmp_path, pipe):
    content = (lora_folder / "lora.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.safetensors").write_text("no tensors")
    shutil.copy(lora_folder / "base" / "unet" / "diffusion_pytorch_model.safetensors", tmp_path / "unet.safetensors")
    for name, match in {
        "cut.safetensors": "not a readable safetensors file",
        "text.safetensors": "not a readable safetensors file",
        "unet.safetensors": "not a LoRA file of this package, but .* tensors",
        "absent.safetensors": "no such file",
        "": "a folder, not a LoRA file",
    }.items():
        with pytest.raises(UserError, match=match):
            pipe.load_lora_weights(tmp_path / name)
    with pytest.raises(UserError, match=r"is a LoRA file; give it as --lora"):
        load_network(lora_folder / "lora.safetensors")


def test_only_runs_with_adapters_are_exported(lora_folder, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="base: not a training run"):
        export_lora(str(lora_folder / "base"), tmp_path / "lora.safetensors")
    shards = {name: lora_folder / "shards" / name for name in ("videos", "stills", "heldout")}
    whole = config(shards, tmp_path / "whole")
    fit(replace(whole, recipe=replace(ADAPTERS, imitative_lora=0)), tmp_path, monkeypatch)
    with pytest.raises(
        UserError, match=r"trains the whole imitative_unet, not adapters \(recipe\.imitative_lora is 0\)"
    ):
        export_lora(str(tmp_path / "whole"), tmp_path / "lora.safetensors")
    assert not (tmp_path / "lora.safetensors").exists()


def test_a_run_from_untrained_parts_brings_its_base_along(lora_folder, tmp_path, monkeypatch, capsys):
    shards = {name: lora_folder / "shards" / name for name in ("videos", "stills", "heldout")}
    fit(adapter_config(shards, tmp_path / "run"), tmp_path, monkeypatch)
    lora, base = tmp_path / "lora.safetensors", tmp_path / "base"
    arguments = ["lora", *map(str, ["--weights", tmp_path / "run", "--output", lora, "--base", base])]
    call_command(COMMANDS, arguments)
    said = capsys.readouterr().out
    assert "adapters of" in said
    assert "base: imitative_unet from random weights, reference_unet from random weights\nthe base -> " in said
    pipe = MimicBrushPipeline.from_pretrained(base)
    assert_equal(weights(pipe.network), weights(initialise(one_block_config(), seed=0)))
    pipe.load_lora_weights(lora)
    assert_equal(weights(pipe.network), weights(load_network(tmp_path / "run")), atol=1e-6)
    with pytest.raises(UserError, match=r"lora\.safetensors exists"):
        call_command(COMMANDS, arguments)
