"""A tiny random pipeline, saved in diffusers' layout; real weights have not been tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.errors import UserError
from mimicbrush.requests import TextRequest

WORDS = ["r", "e", "d", "h", "a", "t"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the pipeline lies: pictures of 32 pixels, latents of 16."""
    path = tmp_path_factory.mktemp("inpainting")
    tokens = ["<|startoftext|>", "<|endoftext|>", *WORDS, *(f"{letter}</w>" for letter in WORDS)]
    (path / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(path / "vocab.json"), str(path / "merges.txt"), model_max_length=8)
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    pipeline = StableDiffusionInpaintPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=16,
            in_channels=9,
            out_channels=4,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=16,
            attention_head_dim=4,
            norm_num_groups=4,
        ),
        scheduler=DDIMScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(path / "saved")
    return path / "saved"


@pytest.fixture(scope="module")
def editor(folder) -> StableDiffusionInpainting:
    return StableDiffusionInpainting(str(folder), num_inference_steps=2, device="cpu")


def make_request(prompt: str, seed: int = 0) -> TextRequest:
    source = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., 10:25, 20:40] = 1
    return TextRequest(source=source, mask=mask, prompt=prompt, seed=seed)


def test_only_the_masked_region_is_repainted(editor):
    request = make_request("red hat")
    edited = editor.edit(request)
    assert edited.shape == request.source.shape
    assert torch.equal(edited[..., 37:, :], request.source[..., 37:, :])
    assert (edited - request.source)[..., 12:23, 22:38].abs().mean() > 0.05


def test_prompt_and_seed_matter_and_the_same_ones_give_the_same(editor):
    edited = editor.edit(make_request("red hat"))
    assert torch.equal(editor.edit(make_request("red hat")), edited)
    assert not torch.equal(editor.edit(make_request("tea")), edited)
    assert not torch.equal(editor.edit(make_request("red hat", seed=1)), edited)


def test_batch_gives_what_single_edits_give(editor):
    requests = [make_request("red hat", seed=3), make_request("", seed=4)]
    for request, edited in zip(requests, editor.edit_batch(requests), strict=True):
        assert torch.allclose(edited, editor.edit(request), atol=1e-5)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: no inpainting pipeline of diffusers"):
        StableDiffusionInpainting(str(tmp_path))
