"""Peak memory of an edit, counted and measured, for each way to save memory.

Counting runs an edit on tensors that have shapes but no values, so no GPU is needed. It leaves out memory outside
tensors: the CUDA context, workspaces of libraries, gaps of an allocator.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mimicbrush.bench.config import TINY_PRESET, MemoryBenchConfig, WayName
from mimicbrush.bench.sampling_speed import guided_step
from mimicbrush.config import load_config
from mimicbrush.device import choose_device, choose_dtype, describe_device
from mimicbrush.files import write_json
from mimicbrush.machine import GIBIBYTE, peak_memory, reset_peak_memory
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.config import NetworkConfig, full_size_network
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.flops_and_bytes import LiveBytes
from mimicbrush.training.step_cost import fake_twin, num_bytes_of, shaped_network
from mimicbrush.training.timing import now


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to load and run the pipeline."""

    dtype: torch.dtype | None = None
    """None: the default of the device."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Offloading by diffusers: weights stay in CPU memory, and one model or one layer at a time is on the GPU."""
    slicing: bool = False
    """The autoencoder works on one picture at a time."""
    tiling: bool = False
    """The autoencoder works on overlapping tiles, which changes results a little."""

    def prepare(self, autoencoder: nn.Module) -> None:
        """Apply slicing and tiling to the autoencoder."""
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
"""Models on the GPU in each part of an edit with model offload (`MimicBrushPipeline.model_cpu_offload_seq`)."""


def count_memory(network: MimicBrushNetwork, way: Way, *, num_images: int = 1) -> dict[str, int]:
    """Count the peak bytes of weights and all other tensors in each part of an edit.

    network: on any device, including meta; it is converted to `way.dtype`, which must not be None.
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
    """Bytes of the weights on the device during one part of an edit."""
    if way.offload == "none":
        return num_bytes_of(network)
    held = [getattr(network, name) for name in RESIDENT[part]]
    if way.offload == "model":
        return sum(map(num_bytes_of, held))
    leaves = (module for model in held for module in model.modules() if not any(module.children()))
    return max(map(num_bytes_of, leaves))


def _shape_latent(network: MimicBrushNetwork, source: torch.Tensor) -> None:
    """Encode a shape map; for depth, call `estimate`, because selecting rows would need values."""
    is_depth = isinstance(network.shape_map, DepthShape)
    shape_map = network.shape_map.estimate(source) if is_depth else network.shape_map(source, torch.ones(1))
    network.shape_projector(shape_map.to(network.shape_projector.dtype))


CPU = torch.device("cpu")
CONSTANT = 0.01
"""Value of all weights: memory does not depend on it, and drawing random weights takes minutes."""


@dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """Memory of one way in GiB."""

    name: str
    counted: float
    """Tensors on the device at the peak of the edit, counted."""
    counted_at: str
    """Part of the edit that needs most memory."""
    loading: float | None = None
    """Peak resident memory of the process until the pipeline is ready."""
    editing: float | None = None
    """Peak resident memory of the process during the edit."""
    gpu: float | None = None
    """Peak of the GPU's allocator while loading and editing."""
    seconds: float | None = None
    """Duration of the edit."""
    failure: str = ""
    """Reason why nothing was measured."""


def bench_memory(config: MemoryBenchConfig) -> None:
    """Print and write the counted and measured memory of each way, each measured in its own process."""
    device = choose_device(config.device)
    with tempfile.TemporaryDirectory() as folder:
        weights = config.weights or _write_weights(config, Path(folder) / "weights")
        what = f"{config.num_images} results of {config.num_inference_steps} steps, {config.weights or config.network}"
        print(f"{describe_device(device)}; {what}; GiB\n")
        print("                     counted  peak in   loading  editing      GPU  seconds")
        rows = []
        for name in config.ways or tuple(WAYS):
            rows.append(_row(name, weights, config, device))
            print(_line(rows[-1]), flush=True)
    if config.output:
        write_json({"machine": describe_device(device), "what": what, "rows": list(map(asdict, rows))}, config.output)


def measure(weights: str, way: Way, config: MemoryBenchConfig) -> dict[str, float | None]:
    """Load the pipeline and edit in this process; return fields of MemoryRow."""
    device = choose_device(config.device)
    pipe = MimicBrushPipeline.from_pretrained(weights, dtype=way.dtype)
    pipe.set_progress_bar_config(disable=True)
    way.prepare(pipe.vae)
    if way.offload == "none":
        pipe.to(device)
    else:
        enable = {"model": pipe.enable_model_cpu_offload, "sequential": pipe.enable_sequential_cpu_offload}
        enable[way.offload](device=device)
    loading = peak_memory(CPU) / GIBIBYTE
    peak_is_known = reset_peak_memory(CPU)
    started = now()
    run_edit(pipe, num_inference_steps=config.num_inference_steps, num_images=config.num_images)
    return {
        "loading": loading,
        "editing": peak_memory(CPU) / GIBIBYTE if peak_is_known else None,
        "gpu": peak_memory(device) / GIBIBYTE if device.type == "cuda" else None,
        "seconds": now() - started,
    }


def _row(name: WayName, weights: str, config: MemoryBenchConfig, device: torch.device) -> MemoryRow:
    way = WAYS[name]
    way = replace(way, dtype=way.dtype or choose_dtype(config.dtype, device))
    counted = count_memory(shaped_network(_network(config)), way, num_images=config.num_images)
    most = max(counted, key=counted.get)
    row = {"name": name, "counted": counted[most] / GIBIBYTE, "counted_at": most}
    if way.offload != "none" and device.type == "cpu":
        return MemoryRow(**row, failure="not measured: needs a GPU")
    # A new process instead of a fork, so that its peak does not include memory of this process.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return MemoryRow(**row, **pool.submit(measure, weights, way, config).result())
        except (BrokenProcessPool, torch.OutOfMemoryError):
            return MemoryRow(**row, failure="out of memory")


def _network(config: MemoryBenchConfig) -> NetworkConfig:
    return full_size_network() if config.network == "full" else load_config(TrainConfig, TINY_PRESET).network


def _write_weights(config: MemoryBenchConfig, folder: Path) -> str:
    network = shaped_network(_network(config)).half().to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.fill_(CONSTANT)
    save_pretrained(network, folder)
    return str(folder)


def run_edit(pipe: MimicBrushPipeline, *, num_inference_steps: int, num_images: int = 1) -> Tensor:
    """Edit random pictures of the network's size with keep_shape; returns (num_images, 3, H, W)."""
    size, generator = pipe.network.size, torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 3, size, size, generator=generator)
    mask = torch.zeros(1, size, size)
    mask[:, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return pipe(
        source,
        mask,
        reference,
        keep_shape=True,
        num_inference_steps=num_inference_steps,
        num_images_per_prompt=num_images,
        generator=generator,
        output_type="pt",
    ).images


def _line(row: MemoryRow) -> str:
    figures = "".join(
        f"{'-' if value is None else format(value, '.2f'):>9s}"
        for value in (row.loading, row.editing, row.gpu, row.seconds)
    )
    return f"{row.name:20s} {row.counted:7.2f}  {row.counted_at:8s}{row.failure or figures}"
