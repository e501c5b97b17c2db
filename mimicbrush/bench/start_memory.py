"""Host memory of a training rank at its start, measured with full-size parts in the file formats of the real ones."""

from __future__ import annotations

import math
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, DepthAnythingConfig, PreTrainedModel
from transformers import DepthAnythingForDepthEstimation as DepthAnything

from mimicbrush.bench.config import TINY_PRESET, StartBenchConfig
from mimicbrush.config import load_config
from mimicbrush.device import describe_device
from mimicbrush.files import write_json
from mimicbrush.machine import GIBIBYTE, PROC, peak_memory
from mimicbrush.model.config import NetworkConfig, PartConfig, full_size_network
from mimicbrush.model.weights.build import initialise
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.precision import frozen_precisions, store_frozen
from mimicbrush.training.timing import now

CPU = torch.device("cpu")
STATUS = PROC / "status"
"""File in which Linux reports the memory of a process."""
STORED = {"imitative_unet": torch.float16}
"""Dtypes of the parts that are not stored in float32: the inpainting repository has only the fp16 variant."""
KINDS = {
    "imitative_unet": UNet2DConditionModel,
    "reference_unet": UNet2DConditionModel,
    "autoencoder": AutoencoderKL,
    "image_encoder": CLIPVisionModelWithProjection,
    "depth": DepthAnything,
}


@dataclass(frozen=True)
class StartRow:
    """Memory and time of one way of loading."""

    name: str
    held: float
    """GiB of weights after loading."""
    private: float
    """Peak GiB not shared with other processes: those of all ranks on a node add up. NaN outside Linux."""
    resident: float
    """Peak resident GiB, with mapped files, which the ranks of a node share and the system can drop."""
    seconds: float


def bench_start(config: StartBenchConfig) -> None:
    """Print and write the memory of both ways of loading, each measured in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        network = write_parts(_sizes(config), Path(folder))
        print(f"{describe_device(CPU)}; {config.network} sizes; GiB\n\n{'':36s}  held  private  resident  seconds")
        rows = []
        for name in ("frozen parts straight in bfloat16", "all in float32, then stored"):
            # A new process, so that the peak does not include memory of this one.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows.append(pool.submit(measure, name, network, straight=name.startswith("frozen")).result())
            row = rows[-1]
            print(
                f"{row.name:36s} {row.held:5.2f} {row.private:8.2f} {row.resident:9.2f} {row.seconds:8.1f}", flush=True
            )
    if config.output:
        write_json({"machine": describe_device(CPU), "rows": list(map(asdict, rows))}, config.output)


def measure(name: str, network: NetworkConfig, *, straight: bool) -> StartRow:
    """Build the network in this process, with its frozen parts in bfloat16 in the end."""
    run = RunConfig(frozen_precision="bfloat16")
    started = now()
    precisions = frozen_precisions(RecipeConfig(), run.frozen_precision) if straight else {}
    with PrivateMemory() as private:
        built = initialise(network, precisions=precisions).to(memory_format=torch.channels_last)
        built.reference_unet.requires_grad_(False)
        store_frozen(built, run.frozen_precision)
    seconds = now() - started
    held = sum(tensor.nbytes for tensor in built.state_dict().values())
    resident = peak_memory(CPU)
    return StartRow(name, held / GIBIBYTE, private.peak / GIBIBYTE, resident / GIBIBYTE, seconds)


class PrivateMemory:
    """Records the peak of unshared memory of this process, in bytes, within a block; it is read every 10 ms."""

    def __init__(self) -> None:
        self.peak = math.nan
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PrivateMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while STATUS.is_file():
            line = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
            self.peak = max(0.0 if math.isnan(self.peak) else self.peak, int(line.split()[1]) * 2**10)
            if self._ended.wait(0.01):
                return


def write_parts(sizes: NetworkConfig, folder: Path) -> NetworkConfig:
    """Write every part with random weights, one at a time; returns a config that loads them."""
    parts = {}
    for name, kind in KINDS.items():
        settings: PartConfig | None = getattr(sizes, name)
        if settings is None or settings.pretrained:
            continue
        arguments = settings.arguments or sizes.reference_unet.arguments  # none: the imitative U-Net is a copy
        dtype = STORED.get(name, torch.float32)
        model = _random(kind, arguments | ({"in_channels": 9} if name == "imitative_unet" else {}), dtype)
        model.save_pretrained(folder / name, variant="fp16" if dtype == torch.float16 else None)
        parts[name] = PartConfig(pretrained=str(folder / name))
        del model
    return replace(sizes, **parts)


def _random(kind: type[nn.Module], arguments: dict, dtype: torch.dtype) -> nn.Module:
    configs = {CLIPVisionModelWithProjection: CLIPVisionConfig, DepthAnything: DepthAnythingConfig}
    with torch.device("meta"):
        model = kind(configs[kind](**arguments)) if issubclass(kind, PreTrainedModel) else kind(**arguments)
    model = nn.Module.to(model, dtype).to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.normal_(std=0.02)
    return model


def _sizes(config: StartBenchConfig) -> NetworkConfig:
    if config.network == "full":
        return full_size_network()
    return replace(load_config(TrainConfig, TINY_PRESET).network, weights=None, depth=None)
