"""Miniatures of hub repositories, with all files of the manifest and small random weights of the real names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, PreTrainedModel

from tests.conftest import AUTOENCODER, IMAGE_ENCODER, ONE_BLOCK, REPOSITORY, depth_model

LAYOUTS: dict[str, dict] = json.loads((REPOSITORY / "tests/assets/hub_layouts.json").read_text())["repositories"]
SOME_COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = re.compile(r"(diffusion_pytorch_model|pytorch_model|model)(?:\.(fp16|non_ema))?\.(safetensors|bin)")

INPAINTING = "stable-diffusion-v1-5/stable-diffusion-inpainting"
STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
# Stride 8, as the presets' shape projector needs it.
STRIDE_8 = {
    "block_out_channels": [8] * 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
# Names of the autoencoder's attention in files from before diffusers 0.14.
OLDER_NAMES = (("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn."))

Part = ModelMixin | PreTrainedModel
Maker = Callable[[], Part]


def make_unet(in_channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(**ONE_BLOCK | {"in_channels": in_channels})


def make_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(**AUTOENCODER | STRIDE_8)


def make_image_encoder() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE_ENCODER))


PARTS: dict[str, dict[str, Maker]] = {
    INPAINTING: {"unet": lambda: make_unet(9), "vae": make_autoencoder},
    STABLE_DIFFUSION: {"unet": make_unet, "vae": make_autoencoder},
    "stabilityai/sd-vae-ft-mse": {".": make_autoencoder},
    "h94/IP-Adapter": {"models/image_encoder": make_image_encoder, "sdxl_models/image_encoder": make_image_encoder},
    "LiheYoung/depth-anything-base-hf": {".": depth_model},
}
"""Contents of the folders of each repository; other folders have empty files."""


def write_cache(cache: Path, repositories: Iterable[str], revisions: dict[str, str]) -> dict[str, Path]:
    """Fill a cache of the hub's client with repositories as the manifest lists them; returns their folders."""
    folders = {}
    for name in repositories:
        commit = LAYOUTS[name]["commit"] or SOME_COMMIT
        storage = cache / ("models--" + name.replace("/", "--"))
        (storage / "refs").mkdir(parents=True)
        (storage / "refs" / revisions.get(name, "main")).write_text(commit)
        folders[name] = storage / "snapshots" / commit
        write_layout(folders[name], LAYOUTS[name]["files"], PARTS[name])
    return folders


def write_layout(folder: Path, files: Iterable[str], parts: dict[str, Maker]) -> None:
    """Write all files of a repository; sets of weights differ, except in the formats and shards of one part."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}" if path.suffix == ".json" else "")
    for number, (subfolder, make) in enumerate(parts.items()):
        for variant, seed in ((None, 0), ("fp16", 0), ("non_ema", 1)):
            torch.manual_seed(10 * number + seed)
            _write_part(folder / subfolder, make(), variant)


def _write_part(folder: Path, part: Part, variant: str | None) -> None:
    paths = [path for path in folder.iterdir() if (match := WEIGHTS.fullmatch(path.name)) and match[2] == variant]
    listed = {path.name for path in folder.iterdir()}
    if not paths:
        return
    tensors = stored_tensors(part, folder / "saved")
    if variant == "fp16":
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    for path in paths:
        if path.suffix == ".bin":
            torch.save(tensors, path)
        else:
            save_file(tensors, path, metadata={"format": "pt"})
    (folder / "saved" / "config.json").rename(folder / "config.json")
    for path in (folder / "saved").iterdir():
        path.unlink()
    (folder / "saved").rmdir()
    assert {path.name for path in folder.iterdir()} == listed


def stored_tensors(part: Part, folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a part under its library's names; those of an autoencoder under older names."""
    part.save_pretrained(folder)
    (path,) = folder.glob("*.safetensors")
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    if isinstance(part, AutoencoderKL):
        for new, old in OLDER_NAMES:
            tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    return tensors
