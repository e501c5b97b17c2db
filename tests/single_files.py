"""Names of tensors in single Stable Diffusion files, for networks of the sizes `UNET` and `AUTOENCODER`."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import AUTOENCODER, UNET

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
OUTSIDE = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
LAYERS = UNET["layers_per_block"]


def original_unet_name(name: str) -> str:
    """Convert diffusers' name of a U-Net's tensor to Stable Diffusion's."""
    module, _, rest = name.rpartition(".")
    if module in OUTSIDE:
        return f"{OUTSIDE[module]}.{rest}"
    if match := re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)", name):
        side, block, kind, layer, inside = match.groups()
        step = LAYERS + 1
        number = step * int(block) + int(layer) + (side == "down")
        where = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
        return f"{where}.{_original_resnet(inside) if kind == 'resnets' else inside}"
    if match := re.fullmatch(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{(LAYERS + 1) * (int(match[1]) + 1)}.0.op.{match[2]}"
    if match := re.fullmatch(r"up_blocks\.(\d)\.upsamplers\.0\.conv\.(.*)", name):
        return f"output_blocks.{(LAYERS + 1) * int(match[1]) + LAYERS}.1.conv.{match[2]}"
    if match := re.fullmatch(r"mid_block\.resnets\.(\d)\.(.*)", name):
        return f"middle_block.{2 * int(match[1])}.{_original_resnet(match[2])}"
    return re.sub(r"^mid_block\.attentions\.0\.", "middle_block.1.", name)


def _original_resnet(inside: str) -> str:
    module, _, rest = inside.rpartition(".")
    return f"{RESNET[module]}.{rest}"


def original_autoencoder(tensors: dict[str, Tensor], num_blocks: int) -> dict[str, Tensor]:
    """Convert an autoencoder's tensors to Stable Diffusion's names and shapes."""
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    found = {}
    for name, tensor in tensors.items():
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if "mid_block.attentions.0." in new:
            for ours, theirs in attention.items():
                new = new.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
            if tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        new = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d)", lambda m: f"up.{num_blocks - 1 - int(m[1])}", new)
        new = re.sub(r"resnets\.(\d)", r"block.\1", new).replace("upsamplers.0", "upsample")
        found[new.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")] = tensor
    return found


def original_tensors(unet: UNet2DConditionModel, autoencoder: AutoencoderKL) -> dict[str, Tensor]:
    """Tensors of both parts under Stable Diffusion's names, and other content of such files."""
    inside = {f"model.diffusion_model.{original_unet_name(name)}": t for name, t in unet.state_dict().items()}
    encoder = original_autoencoder(autoencoder.state_dict(), len(AUTOENCODER["block_out_channels"]))
    inside |= {f"first_stage_model.{name}": tensor for name, tensor in encoder.items()}
    inside["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"] = torch.zeros(2, 2)
    return {name: tensor.contiguous() for name, tensor in inside.items()}


def write_single_file(path: Path, tensors: dict[str, Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors, "global_step": 3}, path)
    return path
