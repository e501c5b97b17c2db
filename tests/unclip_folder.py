"""A tiny random Stable unCLIP in the layout of stable-diffusion-2-1-unclip."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

EMBEDDING = 12
"""Channels of image embeddings."""
TEXT = 16
"""Channels of text tokens."""
LETTERS = ["r", "e", "d", "h", "a", "t"]
UNET = {
    "sample_size": 16,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": TEXT,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 2 * EMBEDDING,
}
"""A U-Net for pictures of 32 pixels."""
TWO_BLOCKS = {
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 4,
}


def write_unclip_folder(folder: Path, **unet_changes: object) -> Path:
    """Write the folder with diffusers' own pipeline; unet_changes: other arguments of the U-Net."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    normalizer = StableUnCLIPImageNormalizer(EMBEDDING)
    normalizer.mean.data.normal_()
    normalizer.std.data.uniform_(0.5, 2)
    tokenizer = _tokenizer(folder)
    StableUnCLIPImg2ImgPipeline(
        unet=UNet2DConditionModel(**UNET | unet_changes),
        vae=AutoencoderKL(**TWO_BLOCKS, latent_channels=4),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        image_encoder=CLIPVisionModelWithProjection(_vision_config()),
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        image_normalizer=normalizer,
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction", steps_offset=1),
    ).save_pretrained(folder)
    return folder


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )


def _vision_config() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=EMBEDDING,
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """A tokenizer in the files of CLIP's that knows a few letters, for texts of up to eight tokens."""
    tokens = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=8)
