"""Stable Diffusion 1 as tiny networks in its real layouts: a folder of diffusers, and single files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from mimicbrush.editors.motion_guidance.load_prior import load_prior
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.errors import UserError
from tests.conftest import AUTOENCODER, UNET, network_config
from tests.single_files import original_tensors, write_single_file


@pytest.fixture(scope="module")
def parts() -> tuple[UNet2DConditionModel, AutoencoderKL]:
    torch.manual_seed(0)
    return UNet2DConditionModel(**UNET), AutoencoderKL(**AUTOENCODER)


@pytest.fixture(scope="module")
def clip_folder(inpainting_folder, tmp_path_factory) -> Path:
    """Text encoder and tokenizer in one folder, as in the repository of a CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(inpainting_folder / part, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def folder(parts, inpainting_folder, tmp_path_factory) -> Path:
    """The folder of Stable Diffusion 1, with its sampler's config and the parts that are not used."""
    folder = tmp_path_factory.mktemp("stable-diffusion-v1-4")
    for name, part in zip(("unet", "vae"), parts, strict=True):
        part.save_pretrained(folder / name)
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(inpainting_folder / part, folder / part)
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    PNDMScheduler(**schedule, skip_prk_steps=True).save_pretrained(folder / "scheduler")
    for part in ("safety_checker", "feature_extractor"):
        (folder / part).mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


@pytest.fixture
def tiny_sizes(monkeypatch) -> None:
    """A file without a config has Stable Diffusion's sizes; here these are tiny."""
    monkeypatch.setattr("mimicbrush.model.weights.single_file.full_size_network", network_config)


@torch.no_grad()
def answers_of(prior: LatentPrior) -> tuple[torch.Tensor, ...]:
    """A latent, its predicted noise for a prompt, and its picture."""
    picture = torch.rand(1, 3, prior.canvas_size, prior.canvas_size, generator=torch.Generator().manual_seed(0))
    latent = prior.encode(picture)
    noise = prior.predict_noise(latent, 400, prior.embed_prompts(["red hat"]))
    return latent, noise, prior.decode(latent)


@pytest.mark.parametrize("name", ["sd-v1-4.ckpt", "sd-v1-4.safetensors"])
def test_a_single_file_is_the_same_model_as_the_folder(parts, folder, clip_folder, tiny_sizes, tmp_path, name):
    path = write_single_file(tmp_path / name, original_tensors(*parts))
    single, whole = load_prior(str(path), text_encoder=str(clip_folder)), load_prior(str(folder))
    assert single.schedule == whole.schedule and single.canvas_size == whole.canvas_size == 32
    assert single.vae.config.scaling_factor == 0.18215
    for found, expected in zip(answers_of(single), answers_of(whole), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_prompt_changes_what_a_folder_predicts(folder):
    prior = load_prior(str(folder))
    latent = prior.encode(torch.zeros(1, 3, 32, 32))
    red, tea = (prior.predict_noise(latent, 400, prior.embed_prompts([prompt])) for prompt in ("red hat", "tea"))
    assert not torch.equal(red, tea)


def test_a_file_for_inpainting_is_refused(parts, clip_folder, tiny_sizes, tmp_path):
    torch.manual_seed(0)
    inpainting = UNet2DConditionModel(**UNET | {"in_channels": 9})
    path = write_single_file(tmp_path / "sd-inpainting.ckpt", original_tensors(inpainting, parts[1]))
    with pytest.raises(UserError, match=r"9 input and 4 output channels.*give one that is not made for inpainting"):
        load_prior(str(path), text_encoder=str(clip_folder))


def test_a_file_of_other_sizes_is_refused(parts, clip_folder, tmp_path):
    path = write_single_file(tmp_path / "tiny.safetensors", original_tensors(*parts))
    with pytest.raises(UserError, match="does not hold a UNet2DConditionModel of these sizes"):
        load_prior(str(path), text_encoder=str(clip_folder))


def test_a_text_encoder_of_another_width_is_refused(parts):
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    with pytest.raises(UserError, match="tokens have 8 numbers, and the U-Net reads 16; give the text encoder"):
        LatentPrior(*parts, text_encoder=CLIPTextModel(CLIPTextConfig(vocab_size=4, **text)))


@pytest.mark.parametrize(("sample_size", "side"), [([8, 8], 8), (8, 8), ([8, 16], None), (None, None)])
def test_latents_are_square_whether_a_config_gives_one_side_or_two(parts, sample_size, side):
    unet = UNet2DConditionModel(**UNET | {"sample_size": sample_size})
    if side is None:
        with pytest.raises(UserError, match=r"sample_size is .*, expected one side, of square latents"):
            LatentPrior(unet, parts[1])
    else:
        assert LatentPrior(unet, parts[1]).canvas_size == 4 * side
