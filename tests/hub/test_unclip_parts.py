"""Stable unCLIP's folder: loaded as diffusers loads it, with the same conditions, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.errors import UserError
from mimicbrush.hub.unclip_parts import (
    UnclipParts,
    embed_pictures,
    embed_prompts,
    image_condition,
    load_unclip,
    require_fitting,
)
from mimicbrush.pictures.conversion import to_levels
from tests.unclip_folder import EMBEDDING, write_unclip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_unclip_folder(tmp_path_factory.mktemp("unclip"))


@pytest.fixture(scope="module")
def parts(folder) -> UnclipParts:
    return load_unclip(str(folder))


@pytest.fixture(scope="module")
def pipeline(folder) -> StableUnCLIPImg2ImgPipeline:
    return StableUnCLIPImg2ImgPipeline.from_pretrained(folder)


@pytest.mark.parametrize("noise_level", [0, 400])
def test_image_conditions_are_those_of_diffusers(parts, pipeline, noise_level):
    picture = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    options = {"device": "cpu", "batch_size": 1, "num_images_per_prompt": 1, "image_embeds": None}
    absent, expected = pipeline._encode_image(
        Image.fromarray(to_levels(picture)),
        do_classifier_free_guidance=True,
        noise_level=noise_level,
        generator=torch.Generator().manual_seed(1),
        **options,
    )
    found = image_condition(
        parts,
        embed_pictures(parts, picture[None]),
        noise_level=noise_level,
        generator=torch.Generator().manual_seed(1),
    )
    assert found.shape == (1, 2 * EMBEDDING)
    assert torch.equal(found[0], expected) and not absent.any()


def test_each_row_can_have_its_own_noise_level(parts):
    embeddings = torch.rand(2, EMBEDDING)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    both = image_condition(parts, embeddings, noise_level=torch.tensor([0, 900]), generator=generators)
    alone = image_condition(parts, embeddings[1:], noise_level=900, generator=torch.Generator().manual_seed(2))
    assert torch.equal(both[1:], alone)
    assert torch.allclose(both[0, :EMBEDDING], embeddings[0], atol=0.1)


def test_text_tokens_are_those_of_diffusers(parts, pipeline):
    expected, _ = pipeline.encode_prompt("red hat", "cpu", 1, False)
    assert torch.equal(embed_prompts(parts, ["red hat"]), expected)


def test_the_schedule_is_that_of_the_folder(parts):
    assert parts.schedule == ScheduleConfig(
        beta_start=0.0001, beta_end=0.02, beta_schedule="scaled_linear", prediction_type="v_prediction"
    )


def test_networks_are_frozen_in_the_wanted_precision(folder):
    parts = load_unclip(str(folder), dtype=torch.bfloat16).to(torch.device("cpu"))
    for network in parts.networks.values():
        assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
        assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    condition = image_condition(parts, embed_pictures(parts, torch.rand(1, 3, 32, 32)))
    tokens = embed_prompts(parts, ["red hat"])
    latent = torch.zeros(1, 4, 16, 16, dtype=torch.bfloat16)
    assert parts.unet(latent, 500, tokens, class_labels=condition).sample.isfinite().all()


@pytest.mark.parametrize(("width", "misfit"), [(1024, 768), (768, 1024)])
def test_the_sizes_of_the_published_models_fit(parts, width, misfit):
    """stable-diffusion-2-1-unclip has the image embeddings of ViT-H, -small those of ViT-L/14; texts are ViT-H's."""
    with init_empty_weights():
        sizes = {
            "block_out_channels": (320,),
            "cross_attention_dim": 1024,
            "projection_class_embeddings_input_dim": 2 * width,
        }
        blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",)}
        networks = {
            "unet": UNet2DConditionModel(**sizes, **blocks, class_embed_type="projection", layers_per_block=1),
            "vae": AutoencoderKL(latent_channels=4),
            "text_encoder": CLIPTextModel(CLIPTextConfig(hidden_size=1024, num_hidden_layers=1)),
            "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=width, num_hidden_layers=1)),
            "image_normalizer": StableUnCLIPImageNormalizer(width),
        }
        other = CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=misfit, num_hidden_layers=1))
    others = {name: getattr(parts, name) for name in ("tokenizer", "feature_extractor", "image_noising_scheduler")}
    others["schedule"] = parts.schedule
    require_fitting(UnclipParts(**networks, **others), "unclip")
    with pytest.raises(UserError, match=f"image_normalizer's embeddings have {width} channels, expected {misfit} by"):
        require_fitting(UnclipParts(**networks | {"image_encoder": other}, **others), "unclip")


def test_a_unet_without_class_embedding_is_refused(tmp_path):
    changes = {"class_embed_type": None, "projection_class_embeddings_input_dim": None}
    with pytest.raises(UserError, match=r"U-Net has no class embedding by projection \(class_embed_type is None\)"):
        load_unclip(str(write_unclip_folder(tmp_path, **changes)))


def test_missing_parts_are_named(folder, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    shutil.rmtree(copied / "image_normalizer")
    shutil.rmtree(copied / "image_noising_scheduler")
    with pytest.raises(UserError, match="lacks image_normalizer, image_noising_scheduler; copy or fetch the whole"):
        load_unclip(str(copied))


def test_a_missing_file_is_named(folder, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    (copied / "image_encoder/model.safetensors").unlink()
    with pytest.raises(UserError, match=r"image_encoder holds config\.json; expected model\.safetensors"):
        load_unclip(str(copied))


def test_another_pipeline_is_named(folder, tmp_path):
    for name in ("unet", "vae", "text_encoder", "tokenizer", "feature_extractor", "scheduler"):
        shutil.copytree(folder / name, tmp_path / name)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(UserError, match=r"expected Stable unCLIP \(\w+\), found StableDiffusionPipeline; give stable"):
        load_unclip(str(tmp_path))


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no model of diffusers; give stable-diffusion-2-1-unclip"):
        load_unclip(str(tmp_path))


def test_words_that_were_never_trained_are_refused_by_name(parts):
    small = load_unclip("asset:unclip")
    assert embed_prompts(small, ["", "a photo of a red striped star"]).isfinite().all()
    with pytest.raises(UserError, match="the text encoder does not know car, bus; use words of its tokenizer"):
        embed_prompts(small, ["a red car", "a blue bus"])
