"""Measure how long training waits for data, and how fast the device is."""

from __future__ import annotations

import time

import torch
from lightning.pytorch.profilers import PassThroughProfiler

from mimicbrush.training.config import ClockKind


class BatchClock(PassThroughProfiler):
    """Measures the time between asking for a batch and receiving it; Lightning reports both to its profiler."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = time.monotonic()
        """Time at which the last batch was asked for, the begin of its step."""
        self.waited = 0.0
        """Seconds waited for all batches."""

    def start(self, action_name: str) -> None:
        if action_name.endswith("train_dataloader_next"):
            self.asked = time.monotonic()

    def stop(self, action_name: str) -> None:
        if action_name.endswith("train_dataloader_next"):
            self.waited += time.monotonic() - self.asked


def now(kind: ClockKind = "wall") -> float:
    """Read a clock in seconds, after the GPU has finished all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() if kind == "wall" else time.process_time()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the FLOP/s of a large matrix product, the best of five, as the practical peak of the device.

    float32 uses TensorFloat-32, if the device has it.
    """
    side = 8192 if device.type == "cuda" else 512
    # Random numbers, because a GPU multiplies constants at a higher clock; the global random state stays untouched.
    generator = torch.Generator(device).manual_seed(0)
    left, right = torch.randn(2, side, side, device=device, generator=generator).to(dtype)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    seconds = []
    for _ in range(5):
        started = now()
        _ = left @ right
        seconds.append(now() - started)
    torch.set_float32_matmul_precision(before)
    return 2 * side**3 / min(seconds)
