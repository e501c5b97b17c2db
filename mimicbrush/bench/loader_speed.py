"""Pairs per second from the data loader, for each CPU core that it uses, compared with the need of a GPU."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import torch

from mimicbrush.bench.config import LoaderBenchConfig
from mimicbrush.config import load_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.data.datamodule import PairData
from mimicbrush.device import describe_device
from mimicbrush.machine import usable_cores
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.timing import now


def bench_loader(bench: LoaderBenchConfig) -> None:
    """Print the pairs per second for each number of workers."""
    config = load_config(TrainConfig, bench.train_config)
    size = bench.size or config.network.size
    sources = [SourceConfig(shards=bench.shards, weight=1.0)] if bench.shards else config.data.sources
    batch_size = bench.batch_size or config.data.batch_size
    data = replace(config.data, sources=sources, batch_size=batch_size, heldout=None)
    machine = f"{describe_device(torch.device('cpu'))}, {usable_cores()} cores"
    print(f"{machine}; {batch_size} pairs of {size} pixels per batch; a GPU needs {bench.needed:g} pairs per second")
    print(f"workers   pairs/s   pairs/s per busy core   GPUs fed by {bench.cores} cores")
    for num_workers in bench.workers:
        pairs, wall, busy = _load(replace(data, num_workers=num_workers), size, bench.seconds)
        fed = pairs / busy * bench.cores / bench.needed
        print(f"{num_workers:7d} {pairs / wall:9.1f} {pairs / busy:23.1f} {fed:20.1f}")


def _load(config: DataConfig, size: int, seconds: float) -> tuple[int, float, float]:
    """Read pairs for some time; return their number, the elapsed seconds, and the CPU seconds of all processes."""
    loader = PairData(config, size=size, seed=0).loader()
    batches = iter(loader)
    # The workers read ahead, so as many batches are taken before the measurement begins.
    for _ in range(loader.num_workers * loader.prefetch_factor):
        next(batches)
    started, busy, num = now(), _cpu_seconds(), 0
    while now() - started < seconds:
        num += len(next(batches).source)
    return num, now() - started, _cpu_seconds() - busy


def _cpu_seconds() -> float:
    """CPU seconds of this process and its children."""
    return time.process_time() + sum(_cpu_seconds_of(child.pid) for child in multiprocessing.active_children())


def _cpu_seconds_of(process: int) -> float:
    # After the name, which may contain spaces, user and system time are the 12th and 13th fields.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
