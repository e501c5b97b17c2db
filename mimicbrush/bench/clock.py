"""Wall seconds, and the machine they were measured on."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from mimicbrush.training.clock import now

T = TypeVar("T")

NUM_WARM_UPS = 2


class Clock:
    """Wall seconds by part; the first two rounds warm up and are left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, part: str, function: Callable[..., T], *args, **kwargs) -> T:
        """Call the function, and note how long it took."""
        started = now()
        result = function(*args, **kwargs)
        self.seconds.setdefault(part, []).append(now() - started)
        return result

    def median(self, part: str) -> float:
        """Seconds."""
        return statistics.median(self.seconds[part][NUM_WARM_UPS:])

    def report(self, title: str, num_items: int, unit: str) -> None:
        """Median milliseconds and shares."""
        medians = {part: self.median(part) for part in self.seconds}
        total = sum(medians.values())
        print(f"\n{title}: {total * 1e3:.0f} ms, {num_items / total:.1f} {unit}")
        for part, seconds in medians.items():
            print(f"  {part:16s} {seconds * 1e3:8.1f} ms {100 * seconds / total:5.1f} %")


def describe_machine(device: torch.device) -> str:
    """What the figures hold for."""
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {threads}"
    return f"{_processor()}, {threads}"


def _processor() -> str:
    names = (line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
