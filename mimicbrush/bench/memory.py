"""Peak memory of an edit for each way to save some, each in a process of its own, so that its peak is its own."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.bench.clock import describe_machine
from mimicbrush.bench.config import MemoryBenchConfig, WayName
from mimicbrush.bench.edits import PRESET
from mimicbrush.bench.memory_count import WAYS, Way, count_memory
from mimicbrush.config import load_config
from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.files import write_json
from mimicbrush.machine import peak_memory, reset_peak_memory
from mimicbrush.model.config import NetworkConfig, full_size_network
from mimicbrush.model.weights.folder import save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.clock import now
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.cost import shaped_network

CPU = torch.device("cpu")
CONSTANT = 0.01
"""All weights: memory does not depend on their values, and random ones take minutes to draw."""


@dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """One way; all figures are GiB."""

    name: str
    counted: float
    """Of tensors on the device, at the edit's peak."""
    counted_at: str
    """The part of the edit that needs most."""
    loading: float | None = None
    """Resident memory of the process at most, until the pipeline is ready."""
    editing: float | None = None
    """The same, during the edit."""
    gpu: float | None = None
    """Of the GPU's allocator at most, loading and editing."""
    seconds: float | None = None
    """Of the edit."""
    failure: str = ""
    """Why nothing was measured."""


def bench_memory(config: MemoryBenchConfig) -> None:
    device = choose_device(config.device)
    with tempfile.TemporaryDirectory() as folder:
        weights = config.weights or _write_weights(config, Path(folder) / "weights")
        what = f"{config.num_images} results of {config.num_inference_steps} steps, {config.weights or config.network}"
        print(f"{describe_machine(device)}; {what}; GiB\n")
        print("                     counted  most in   loading  editing      GPU  seconds")
        rows = []
        for name in config.ways or tuple(WAYS):
            rows.append(_row(name, weights, config, device))
            print(_line(rows[-1]), flush=True)
    if config.output:
        write_json({"machine": describe_machine(device), "what": what, "rows": list(map(asdict, rows))}, config.output)


def measure(weights: str, way: Way, config: MemoryBenchConfig) -> dict[str, float | None]:
    """Load and edit in this process: fields of MemoryRow."""
    device = choose_device(config.device)
    pipe = MimicBrushPipeline.from_pretrained(weights, dtype=way.dtype)
    pipe.set_progress_bar_config(disable=True)
    way.prepare(pipe.vae)
    if way.offload == "none":
        pipe.to(device)
    else:
        enable = {"model": pipe.enable_model_cpu_offload, "sequential": pipe.enable_sequential_cpu_offload}
        enable[way.offload](device=device)
    loading = peak_memory(CPU) / 2**30
    peak_is_known = reset_peak_memory(CPU)
    started = now()
    run_edit(pipe, num_inference_steps=config.num_inference_steps, num_images=config.num_images)
    return {
        "loading": loading,
        "editing": peak_memory(CPU) / 2**30 if peak_is_known else None,
        "gpu": peak_memory(device) / 2**30 if device.type == "cuda" else None,
        "seconds": now() - started,
    }


def _row(name: WayName, weights: str, config: MemoryBenchConfig, device: torch.device) -> MemoryRow:
    way = WAYS[name]
    way = replace(way, dtype=way.dtype or choose_dtype(config.dtype, device))
    counted = count_memory(shaped_network(_network(config)), way, num_images=config.num_images)
    most = max(counted, key=counted.get)
    row = {"name": name, "counted": counted[most] / 2**30, "counted_at": most}
    if way.offload != "none" and device.type == "cpu":
        return MemoryRow(**row, failure="not measured: needs a GPU")
    # A new process, not a fork of this one: its peak is that of what it does alone.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return MemoryRow(**row, **pool.submit(measure, weights, way, config).result())
        except (BrokenProcessPool, torch.OutOfMemoryError):
            return MemoryRow(**row, failure="out of memory")


def _network(config: MemoryBenchConfig) -> NetworkConfig:
    return full_size_network() if config.network == "full" else load_config(TrainConfig, PRESET).network


def _write_weights(config: MemoryBenchConfig, folder: Path) -> str:
    network = shaped_network(_network(config)).half().to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.fill_(CONSTANT)
    save_pretrained(network, folder)
    return str(folder)


def run_edit(pipe: MimicBrushPipeline, *, num_inference_steps: int, num_images: int = 1) -> Tensor:
    """Results (num_images, 3, H, W) of an edit at the network's own size, with everything that takes memory."""
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
