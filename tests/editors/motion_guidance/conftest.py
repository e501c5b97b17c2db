"""Tiny random networks in diffusers' layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

UNET = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}


@pytest.fixture(scope="session")
def diffusion_folder(inpainting_folder, tmp_path_factory) -> Path:
    """A tiny text-to-image model: pictures of 32 pixels, latents of 16."""
    folder = tmp_path_factory.mktemp("diffusion")
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.copytree(inpainting_folder / part, folder / part)
    torch.manual_seed(0)
    UNet2DConditionModel(**UNET).save_pretrained(folder / "unet")
    DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1).save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="session")
def velocity_folder(inpainting_folder, tmp_path_factory) -> Path:
    """A tiny model without text that predicts velocity on a cosine schedule and has class embeddings."""
    folder = tmp_path_factory.mktemp("velocity")
    shutil.copytree(inpainting_folder / "vae", folder / "vae")
    torch.manual_seed(0)
    classes = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 24}
    UNet2DConditionModel(**UNET, **classes).save_pretrained(folder / "unet")
    schedule = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
    DDIMScheduler(**schedule).save_pretrained(folder / "scheduler")
    return folder
