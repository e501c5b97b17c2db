"""Write all networks of the metrics with random weights, in the file formats of the real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    Dinov2Model,
    DPTImageProcessorPil,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from mimicbrush.bench.config import Size
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.lpips import STACKS
from mimicbrush.files import sha256
from mimicbrush.flow.config import RAFT_LARGE
from mimicbrush.flow.raft import Raft
from mimicbrush.flow.raft_weights import save_raft
from mimicbrush.model.conditioning import IMAGENET_MEAN, IMAGENET_STD
from mimicbrush.model.config import full_size_network

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
# Large weights: with the small ones of transformers, a shallow network gives nearly equal features for all pictures.
TINY_INIT = {"initializer_range": 0.3}
TINY_RAFT = {
    "encoder_channels": (8, 8, 8, 8),
    "feature_channels": 8,
    "hidden_channels": 8,
    "context_channels": 8,
    "correlation_channels": (8, 8),
    "flow_channels": (8, 8),
    "motion_channels": 8,
    "head_channels": 8,
}
VIT_S = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
VIT_B = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
CLIP_TEXT = {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8, "intermediate_size": 2048}


def write_networks(folder: Path, size: Size, *, seed: int = 0) -> ModelsConfig:
    """Write the networks into the folder, and return the path of each.

    The features of LPIPS always have the sizes of AlexNet and VGG16, which its linear heads require.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        writers = {"dino": write_dino, "dinov2": write_dinov2, "clip": write_clip, "flow": write_flow}
        writers |= {"depth": write_depth}
        for name, write in writers.items():
            write(folder / name, size)
        files = {name: write_features(folder, name) for name in STACKS}
    return ModelsConfig(**{name: str(folder / name) for name in writers}, **{k: str(v) for k, v in files.items()})


def write_dino(folder: Path, size: Size) -> None:
    """ViT-S/16, with the preprocessing of facebook/dino-vits16."""
    config = ViTConfig(**VIT_S) if size == "full" else ViTConfig(**TINY | TINY_INIT, image_size=64)
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    side = config.image_size
    imagenet = {"image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD)}
    ViTImageProcessorPil(size={"height": side, "width": side}, resample=2, **imagenet).save_pretrained(folder)


def write_dinov2(folder: Path, size: Size) -> None:
    """ViT-B/14, trained at 518 pixels and used at 224, with the preprocessing of facebook/dinov2-base."""
    shape = VIT_B if size == "full" else TINY | TINY_INIT
    shape = {name: value for name, value in shape.items() if name != "intermediate_size"}
    Dinov2Model(Dinov2Config(**shape, image_size=518, patch_size=14)).save_pretrained(folder)
    side = 224 if size == "full" else 56
    crop = {"height": side, "width": side}
    BitImageProcessorPil(size={"shortest_edge": side * 8 // 7}, crop_size=crop).save_pretrained(folder)


def write_clip(folder: Path, size: Size) -> None:
    """ViT-B/32 and its text encoder; the tokenizer has bytes only, and so gives more tokens than the real one."""
    tokenizer = _byte_tokenizer()
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    special |= {"pad_token_id": tokenizer.eos_token_id}
    if size == "full":
        vision = VIT_B | {"image_size": 224, "patch_size": 32}
        text, width = CLIP_TEXT | {"vocab_size": 49408}, 512
    else:
        vision = TINY | TINY_INIT | {"image_size": 64, "patch_size": 32}
        text, width = TINY | TINY_INIT | {"vocab_size": len(tokenizer)}, 16
    config = CLIPConfig(vision_config=vision, text_config=text | special, projection_dim=width)
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = vision["image_size"]
    crop = {"height": side, "width": side}
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=crop).save_pretrained(folder)


def write_flow(folder: Path, size: Size) -> None:
    """RAFT large."""
    config = RAFT_LARGE if size == "full" else replace(RAFT_LARGE, **TINY_RAFT)
    save_raft(Raft(config), folder)


def write_depth(folder: Path, size: Size) -> None:
    """Depth Anything, base size, with the preprocessing of LiheYoung/depth-anything-base-hf."""
    arguments = full_size_network().depth.arguments
    if size == "tiny":
        backbone = {name: value for name, value in TINY.items() if name != "intermediate_size"}
        backbone |= {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4], "image_size": 56, **TINY_INIT}
        arguments = {
            "backbone_config": arguments["backbone_config"] | backbone,
            "reassemble_hidden_size": TINY["hidden_size"],
            "neck_hidden_sizes": [8, 8, 8, 8],
            "fusion_hidden_size": 8,
            **TINY_INIT,
        }
    DepthAnythingForDepthEstimation(DepthAnythingConfig(**arguments)).save_pretrained(folder)
    side = 518 if size == "full" else 56
    shape = {"size": {"height": side, "width": side}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    DPTImageProcessorPil(**shape, resample=3, do_pad=False).save_pretrained(folder)


def write_features(folder: Path, backbone: Literal["alexnet", "vgg16"]) -> Path:
    """Write a file like those of torchvision, with the beginning of its hash in its name; return its path."""
    weights = {f"features.{name}": tensor for name, tensor in STACKS[backbone]().state_dict().items()}
    path = folder / f"{backbone}.pth"
    torch.save(weights, path)
    return path.rename(folder / f"{backbone}-{sha256(path)[:8]}.pth")


def _byte_tokenizer() -> CLIPTokenizer:
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[], model_max_length=77)
