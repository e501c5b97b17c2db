"""Speed and memory of training steps while options are switched on one by one."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from mimicbrush.bench.config import FULL_PRESET, TINY_PRESET, RowName, TrainBenchConfig
from mimicbrush.bench.step_timer import StepTimer
from mimicbrush.bench.training_results import RowResult, TrainResults, print_results, write_results
from mimicbrush.config import load_config
from mimicbrush.data.config import SourceConfig
from mimicbrush.data.datamodule import PairData
from mimicbrush.data.decode import PairBatch, collate, decode_pair
from mimicbrush.data.shards import FramePair
from mimicbrush.device import choose_device, describe_device
from mimicbrush.errors import first_line
from mimicbrush.machine import GIBIBYTE
from mimicbrush.model.config import full_size_network
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import encode_jpeg
from mimicbrush.training.checkpoints import Checkpoints
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.progress_display import ProgressDisplay
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.step_cost import cost_of_run
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.timing import matrix_rate
from mimicbrush.training.trainer import make_trainer

NUM_WARM_UPS = 3
"""Steps before the timed ones; the first step compiles."""

PLAIN = {
    "precision": "32-true",
    "tf32": True,
    "frozen_precision": "float32",
    "channels_last": False,
    "compile": False,
    "gradient_checkpointing": False,
}
"""Fields of RunConfig at the beginning of the rows."""
ROWS: dict[RowName, tuple[str, dict]] = {
    "float32": ("float32", {}),
    "bfloat16": ("bfloat16", {"precision": "bf16-mixed"}),
    "channels_last": ("+ channels last", {"channels_last": True}),
    "frozen": ("+ frozen weights in bfloat16", {"frozen_precision": "bfloat16"}),
    "compile": ("+ compiled U-Nets", {"compile": True}),
    "compile_encoders": ("+ compiled encoders", {}),
    "checkpointing": ("+ gradient checkpointing", {"gradient_checkpointing": True}),
    "configured": ("as the config says", {}),
}
"""Titles, and the fields of RunConfig that each row changes; `configured` is independent of the other rows."""
GPU_ROWS = ("bfloat16", "frozen", "compile", "compile_encoders")
"""Rows that take long on a CPU: many CPUs emulate bfloat16, and compiling takes minutes."""


def bench_training(bench: TrainBenchConfig) -> None:
    """Measure each row, and print and write the results."""
    device = choose_device(bench.device)
    config = bench_config(bench, device)
    batch_size = config.data.batch_size
    rates = {name: matrix_rate(device, getattr(torch, name)) for name in ("float32", "bfloat16")}
    results = TrainResults(
        machine=describe_device(device),
        flops=_flops(config),
        what=f"{batch_size} pairs of {config.network.size} pixels per step, {bench.repeats} steps timed",
        matrix_rates=rates,
        rows=[],
    )
    for name, row in row_configs(bench, config, device).items():
        results.rows.append(_measure(bench, name, row, device))
        print(f"{results.rows[-1].title}: {results.rows[-1].summary()}", flush=True)
        if bench.output:
            write_results(results, bench.output)
    print_results(results)


def bench_config(bench: TrainBenchConfig, device: torch.device) -> TrainConfig:
    """Make the training config that is common to all rows."""
    is_full = bench.network == "full"
    config = load_config(TrainConfig, bench.train_config or (FULL_PRESET if is_full else TINY_PRESET))
    if is_full:
        config = replace(config, network=full_size_network())
    data = replace(
        config.data,
        batch_size=bench.batch_size or config.data.batch_size,
        num_workers=bench.num_workers or config.data.num_workers,
        sources=[SourceConfig(shards=bench.shards, weight=1.0)] if bench.shards else config.data.sources,
        heldout=None,
    )
    run = replace(
        config.run,
        max_steps=NUM_WARM_UPS + bench.repeats,
        samples_per_step=None,
        accumulate=1,
        patience=None,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        num_nodes=1,
        wandb="off",
    )
    return replace(config, data=data, run=run)


def row_configs(bench: TrainBenchConfig, config: TrainConfig, device: torch.device) -> dict[RowName, TrainConfig]:
    """Make the config of each row, which has the options of the rows before it."""
    on_cpu = [name for name in ROWS if name not in GPU_ROWS]
    names = bench.rows or (on_cpu if device.type == "cpu" else tuple(ROWS))
    changes, rows = dict(PLAIN), {}
    for name in names:
        changes |= ROWS[name][1]
        rows[name] = config if name == "configured" else replace(config, run=replace(config.run, **changes))
    return rows


def random_pairs(num: int, size: int) -> PairBatch:
    """Make a batch of smooth random pictures, as the loader delivers it."""
    pairs = random_frame_pairs(num, size)
    return collate([decode_pair(pair, size, Random(0), position=number) for number, pair in enumerate(pairs)])


def random_frame_pairs(num: int, size: int) -> list[FramePair]:
    """Make pairs of smooth random pictures, as they are stored in shards."""
    generator = np.random.default_rng(0)
    return [
        FramePair(
            key=f"pair{number}",
            source=_random_picture(generator, size),
            reference=_random_picture(generator, size),
            similarity=0.5,
            keypoints=[tuple(point) for point in generator.random((64, 4)).tolist()],
            masks=[],
            origin={},
        )
        for number in range(num)
    ]


# --- One row --------------------------------------------------------------------------------------------------------


def _measure(bench: TrainBenchConfig, name: RowName, config: TrainConfig, device: torch.device) -> RowResult:
    """Train for a few steps, independently of earlier rows."""
    title = ROWS[name][0]
    free_earlier_rows(device)
    try:
        timer = time_steps(bench, config, device, compile_encoders=name == "compile_encoders")
    except torch.OutOfMemoryError:
        return RowResult(name=name, title=title, failure="out of memory")
    except torch._dynamo.exc.TorchDynamoException as error:
        return RowResult(name=name, title=title, failure=f"not compiled: {first_line(error)}")
    images = timer.num_steps * config.data.batch_size
    return RowResult(
        name=name,
        title=title,
        images_per_second=images / timer.wall,
        milliseconds={part: 1e3 * seconds / timer.num_steps for part, seconds in timer.seconds.items()},
        peak_memory=timer.peak,
        counted_memory=cost_of_run(config).memory / GIBIBYTE if device.type == "cuda" else None,
    )


def time_steps(
    bench: TrainBenchConfig, config: TrainConfig, device: torch.device, *, compile_encoders: bool = False
) -> StepTimer:
    """Time training steps with the trainer of a real run, but without checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, output=Path(folder))
        # Two billion random numbers are drawn faster on the device.
        with device if bench.network == "full" else nullcontext():
            module = make_module(config)
        if compile_encoders:
            _compile_encoders(module.network)
        trainer, timer = make_trainer(config, StopSignals()), StepTimer(NUM_WARM_UPS)
        kept = [one for one in trainer.callbacks if not isinstance(one, Checkpoints | ProgressDisplay)]
        trainer.callbacks = [*kept, timer]
        trainer.fit(module, _data(bench, config))
    return timer


def _data(bench: TrainBenchConfig, config: TrainConfig) -> PairData | Iterable[PairBatch]:
    if bench.shards:
        return make_data(config)
    return repeat(random_pairs(config.data.batch_size, config.network.size))


def _flops(config: TrainConfig) -> float:
    """FLOPs of one image, without recomputation."""
    return cost_of_run(replace(config, run=replace(config.run, gradient_checkpointing=False))).total_flops


def _compile_encoders(network: MimicBrushNetwork) -> None:
    network.autoencoder.encoder.compile()
    network.image_encoder.clip.compile()


def free_earlier_rows(device: torch.device) -> None:
    """Free compiled code and memory of earlier rows."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _random_picture(generator: np.random.Generator, size: int) -> bytes:
    """Encode a smooth random picture as JPEG."""
    coarse = to_pil(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return encode_jpeg(coarse.resize((size, size), Image.Resampling.BICUBIC), quality=95)
