"""Memory of a guided step of Motion Guidance in the sizes of Stable Diffusion 1 and RAFT large, counted.

Networks and tensors have shapes but no values, so that neither weights nor a GPU are needed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from unittest.mock import patch

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mimicbrush.bench.editors.config import MotionMemoryConfig
from mimicbrush.editors.motion_guidance.energy import MotionEnergy
from mimicbrush.editors.motion_guidance.prior import PROMPT_GUIDANCE, LatentPrior
from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings
from mimicbrush.files import write_json
from mimicbrush.flow.config import RAFT_LARGE
from mimicbrush.flow.raft import Raft
from mimicbrush.machine import GIBIBYTE
from mimicbrush.model.config import full_size_network
from mimicbrush.training.flops_and_bytes import LiveBytes
from mimicbrush.training.step_cost import num_bytes_of

TEXT_SHAPE = (1, 77, 768)
"""Tokens of one prompt in Stable Diffusion 1."""
MIDDLE = 500
"""Timestep of the counted step; memory does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class MotionMemory:
    """Memory of a guided step in GiB; activations are those kept for the backward pass."""

    dtype: str
    gradient_checkpointing: bool
    weights: float
    unet: float
    decoder: float
    flow_network: float
    peak: float
    """Weights and all other tensors at the peak."""


def bench_motion_memory(config: MotionMemoryConfig) -> None:
    """Print the memory with gradient checkpointing and without, in two precisions of U-Net and autoencoder."""
    with init_empty_weights():
        sizes = full_size_network()
        networks = [
            UNet2DConditionModel(**sizes.reference_unet.arguments),
            AutoencoderKL(**sizes.autoencoder.arguments),
            Raft(RAFT_LARGE, MotionGuidanceSettings.flow_iterations),
        ]
    rows = []
    print(f"{config.size} x {config.size} pixels, GiB\n")
    print("precision  checkpointing  weights  U-Net  decoder  flow network   peak")
    for dtype, saves in product((torch.float32, torch.bfloat16), (False, True)):
        rows.append(_count(networks, config.size, dtype=dtype, saves=saves))
        print(_line(rows[-1]), flush=True)
    if config.output:
        write_json({"size": config.size, "rows": list(map(asdict, rows))}, config.output)


def _count(networks: list[nn.Module], size: int, *, dtype: torch.dtype, saves: bool) -> MotionMemory:
    # RAFT's check of its pictures reads values, which there are none.
    with FakeTensorMode(), patch("mimicbrush.flow.raft.check_pictures"):
        unet, vae = (_without_values(network, dtype) for network in networks[:2])
        raft = _without_values(networks[2], torch.float32)
        prior = LatentPrior(unet, vae)
        if saves:
            prior.enable_gradient_checkpointing()
        source, flow = torch.rand(1, 3, size, size), torch.rand(1, 2, size, size)
        # Which pixels are hidden depends on values, too.
        settings = MotionGuidanceSettings(occlusion="none")
        energy = MotionEnergy(source, flow, estimator=raft.eval(), settings=settings)
        tokens = torch.zeros(TEXT_SHAPE, dtype=dtype).repeat(2, 1, 1)
        weights = [weight for network in (unet, vae, raft) for weight in network.parameters()]
        with LiveBytes(weights) as live:
            *steps, _ = _live_after_each_part(prior, energy, tokens, live)
    used = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    held = sum(map(num_bytes_of, (unet, vae, raft)))
    unet_bytes, decoder_bytes, flow_bytes = (each / GIBIBYTE for each in used)
    return MotionMemory(
        dtype=str(dtype).removeprefix("torch."),
        gradient_checkpointing=saves,
        weights=held / GIBIBYTE,
        unet=unet_bytes,
        decoder=decoder_bytes,
        flow_network=flow_bytes,
        peak=(held + live.peak) / GIBIBYTE,
    )


def _live_after_each_part(
    prior: LatentPrior, energy: MotionEnergy, tokens: torch.Tensor, live: LiveBytes
) -> Iterator[int]:
    """Take a guided step; yield the bytes in use after U-Net, decoder, energy and gradient."""
    side = energy.source.shape[-1] // prior.stride
    latent = torch.zeros(1, 4, side, side).requires_grad_()
    absent, present = prior.predict_noise(torch.cat([latent, latent]), MIDDLE, tokens).chunk(2)
    noise = absent + PROMPT_GUIDANCE * (present - absent)
    yield live.now
    picture = prior.decode(latent - noise)
    yield live.now
    terms = energy(picture)
    yield live.now
    torch.autograd.grad(terms.total, latent)
    yield live.now


def _without_values(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Copy a network with fake tensors; to be called in a FakeTensorMode."""
    fakes = {
        id(weight): nn.Parameter(torch.empty(weight.shape, dtype=dtype), requires_grad=False)
        for weight in network.parameters()
    }
    fakes |= {id(buffer): torch.empty(buffer.shape, dtype=buffer.dtype) for buffer in network.buffers()}
    return copy.deepcopy(network, fakes)


def _line(row: MotionMemory) -> str:
    saves = "yes" if row.gradient_checkpointing else "no"
    return (
        f"{row.dtype:11}{saves:13}{row.weights:9.1f}{row.unet:7.1f}{row.decoder:9.1f}{row.flow_network:14.1f}"
        f"{row.peak:7.1f}"
    )
