"""Memory and operations of a tuning step of GenVideo in the sizes of stable-diffusion-2-1-unclip, counted.

Networks and tensors have shapes but no values, so that neither weights nor a GPU are needed.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from mimicbrush.bench.editors.config import TuningMemoryConfig
from mimicbrush.editors.genvideo.inflation import inflate, tuned_parameters
from mimicbrush.editors.genvideo.settings import GenVideoSettings
from mimicbrush.files import write_json
from mimicbrush.machine import GIBIBYTE
from mimicbrush.training.flops_and_bytes import LiveBytes, count_flops
from mimicbrush.training.step_cost import num_bytes_of, num_trained_of

DTYPE = torch.bfloat16
"""Precision of everything that is not tuned."""
EMBEDDING, TEXT, NUM_TOKENS = 1024, 1024, 77
"""Channels of image embeddings and of text tokens, and tokens of a prompt."""
MOMENTS = 8
"""Bytes that AdamW keeps for a weight."""
UNET = {
    "sample_size": 96,
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": TEXT,
    "use_linear_projection": True,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 2 * EMBEDDING,
}
AUTOENCODER = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
}
TEXT_ENCODER = {"hidden_size": TEXT, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
IMAGE_ENCODER = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": EMBEDDING,
}


@dataclass(frozen=True, kw_only=True)
class TuningMemory:
    """Memory of a tuning step in GiB."""

    num_frames: int
    gradient_checkpointing: bool
    weights: float
    """All networks: the tuned weights in float32, the others in bfloat16."""
    moments: float
    step: float
    """Activations and gradients at their peak."""
    peak: float
    num_tuned: int
    tflop: float
    """Operations of the step, in 10^12."""


def bench_tuning_memory(config: TuningMemoryConfig) -> None:
    """Print the memory with gradient checkpointing and without."""
    with init_empty_weights():
        unet = inflate(UNet2DConditionModel(**UNET))
        others = [
            AutoencoderKL(**AUTOENCODER),
            CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER)),
            CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE_ENCODER)),
        ]
    held = sum(weight.numel() * DTYPE.itemsize for network in others for weight in network.parameters())
    rows = []
    print(f"{config.num_frames} frames of {config.size} x {config.size} pixels, GiB\n")
    print("checkpointing  weights  moments   step   peak   TFLOP")
    for saves in (True, False):
        rows.append(count_step(unet, held, config, saves=saves))
        print(_line(rows[-1]), flush=True)
    print(f"\n{rows[0].num_tuned / 1e6:.0f} million weights are tuned")
    print(_work(rows[0].tflop, count_pass(unet, config)))
    if config.output:
        write_json({"size": config.size, "rows": list(map(asdict, rows))}, config.output)


def count_step(network: UNet2DConditionModel, held: int, config: TuningMemoryConfig, *, saves: bool) -> TuningMemory:
    """Count a step of an inflated network without values; held: bytes of the other networks."""
    with FakeTensorMode():
        unet = _without_values(network)
        if saves:
            unet.enable_gradient_checkpointing()
        with LiveBytes(unet.parameters()) as live:
            _, flops = count_flops(lambda: _step(unet, config))
    weights, moments = held + num_bytes_of(unet), MOMENTS * num_trained_of(unet)
    return TuningMemory(
        num_frames=config.num_frames,
        gradient_checkpointing=saves,
        weights=weights / GIBIBYTE,
        moments=moments / GIBIBYTE,
        step=live.peak / GIBIBYTE,
        peak=(weights + moments + live.peak) / GIBIBYTE,
        num_tuned=num_trained_of(unet),
        tflop=flops / 1e12,
    )


def count_pass(network: UNet2DConditionModel, config: TuningMemoryConfig) -> float:
    """Count the operations of a pass over all frames without gradients, in 10^12."""
    with FakeTensorMode(), torch.no_grad():
        unet = _without_values(network)
        _, flops = count_flops(lambda: _predict(unet, config))
    return flops / 1e12


def _work(step: float, single: float) -> str:
    """Operations of tuning, and of an edit of a tuned clip, with the default settings."""
    settings = GenVideoSettings()
    # Inversion and reconstruction are unguided; two guided branches propose the masks, and sampling is guided.
    num_passes = settings.num_inference_steps * (1 + 1 + 4 + 2)
    return (
        f"{single:.1f} TFLOP a pass; tuning, {settings.tuning.num_steps} steps:"
        f" {step * settings.tuning.num_steps / 1000:.1f} PFLOP; an edit, {num_passes} passes:"
        f" {single * num_passes / 1000:.1f} PFLOP"
    )


def _step(unet: UNet2DConditionModel, config: TuningMemoryConfig) -> None:
    _predict(unet, config).float().square().mean().backward()


def _predict(unet: UNet2DConditionModel, config: TuningMemoryConfig) -> Tensor:
    side, num_frames = config.size // 8, config.num_frames
    latents: Tensor = torch.zeros(num_frames, 4, side, side, dtype=DTYPE)
    tokens = torch.zeros(num_frames, NUM_TOKENS, TEXT, dtype=DTYPE)
    classes = torch.zeros(num_frames, 2 * EMBEDDING, dtype=DTYPE)
    context = {"num_frames": num_frames}
    with torch.autocast("cpu", DTYPE):
        return unet(
            latents, 500, encoder_hidden_states=tokens, class_labels=classes, cross_attention_kwargs=context
        ).sample


def _without_values(network: nn.Module) -> nn.Module:
    """Copy a network with fake tensors: tuned weights in float32, the others in DTYPE."""
    tuned = {id(weight) for weight in tuned_parameters(network).values()}
    fakes = {}
    for weight in network.parameters():
        is_tuned = id(weight) in tuned
        values = torch.empty(weight.shape, dtype=torch.float32 if is_tuned else DTYPE)
        fakes[id(weight)] = nn.Parameter(values, requires_grad=is_tuned)
    fakes |= {id(buffer): torch.empty(buffer.shape, dtype=buffer.dtype) for buffer in network.buffers()}
    return copy.deepcopy(network, fakes)


def _line(row: TuningMemory) -> str:
    saves = "yes" if row.gradient_checkpointing else "no"
    return f"{saves:13}{row.weights:9.1f}{row.moments:9.1f}{row.step:7.1f}{row.peak:7.1f}{row.tflop:8.1f}"
