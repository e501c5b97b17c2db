"""What an edit needs of a device's memory, by counting: tensors that have shapes but no values, so no GPU is needed.

Not counted is what lies outside tensors: the CUDA context, libraries' workspaces, an allocator's gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mimicbrush.bench.config import WayName
from mimicbrush.bench.metrics import guided_step
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.training.cost import fake_twin, num_bytes_of
from mimicbrush.training.counting import LiveBytes


@dataclass(frozen=True, kw_only=True)
class Way:
    """How to load and run the pipeline."""

    dtype: torch.dtype | None = None
    """None: whatever suits the device."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Of diffusers: weights wait in the CPU's memory, a model or a layer at a time goes to the GPU."""
    slicing: bool = False
    """The autoencoder works on one picture at a time."""
    tiling: bool = False
    """The autoencoder works on overlapping tiles, which changes results a little."""

    def prepare(self, autoencoder: nn.Module) -> None:
        """Switch the autoencoder's part of it on."""
        autoencoder.use_slicing, autoencoder.use_tiling = self.slicing, self.tiling


WAYS: dict[WayName, Way] = {
    "float32": Way(dtype=torch.float32),
    "bfloat16": Way(dtype=torch.bfloat16),
    "vae_slicing": Way(slicing=True),
    "vae_tiling": Way(tiling=True),
    "model_offload": Way(offload="model"),
    "sequential_offload": Way(offload="sequential"),
    "least": Way(offload="sequential", slicing=True, tiling=True),
}

RESIDENT = {
    "encode": ("autoencoder",),
    "shape": ("autoencoder", "shape_map", "shape_projector"),
    "tokens": ("autoencoder", "image_encoder", "image_projector"),
    "step": ("autoencoder", "imitative_unet", "reference_unet", "image_projector"),
    "decode": ("autoencoder", "reference_unet"),
}
"""Part of an edit -> what model offload then has on the GPU (`MimicBrushPipeline.model_cpu_offload_seq`)."""


def count_memory(network: MimicBrushNetwork, way: Way, *, num_images: int = 1) -> dict[str, int]:
    """Part of an edit -> bytes in use at most, of weights and of everything else.

    network: of any device, meta among them; is put into the way's precision, which is to be given.
    """
    network.to_precision(way.dtype)
    with FakeTensorMode(), torch.no_grad():
        twin = fake_twin(network)
        way.prepare(twin.autoencoder)
        picture = torch.rand(1, 3, network.size, network.size)
        side = network.size // network.stride
        parts = {
            "encode": lambda: twin.encode(torch.cat([picture, picture])),
            "shape": lambda: _shape_latent(twin, picture),
            "tokens": lambda: twin.image_tokens(picture),
            "step": lambda: guided_step(twin, num_images=num_images),
            "decode": lambda: twin.decode(torch.rand(num_images, 4, side, side)),
        }
        used = {}
        for name, run in parts.items():
            with LiveBytes(twin.parameters()) as live:
                run()
            used[name] = live.peak
    return {name: bytes_used + _weights(network, way, name) for name, bytes_used in used.items()}


def _weights(network: MimicBrushNetwork, way: Way, part: str) -> int:
    """Bytes of the weights on the device during this part of an edit."""
    if way.offload == "none":
        return num_bytes_of(network)
    held = [getattr(network, name) for name in RESIDENT[part]]
    if way.offload == "model":
        return sum(map(num_bytes_of, held))
    leaves = (module for model in held for module in model.modules() if not any(module.children()))
    return max(map(num_bytes_of, leaves))


def _shape_latent(network: MimicBrushNetwork, source: torch.Tensor) -> None:
    """With depth, whose choice of rows would depend on values."""
    is_depth = isinstance(network.shape_map, DepthShape)
    shape_map = network.shape_map.estimate(source) if is_depth else network.shape_map(source, torch.ones(1))
    network.shape_projector(shape_map.to(network.shape_projector.dtype))
