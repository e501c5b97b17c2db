"""The processor, the CPU cores and memory granted to this process, and its peak memory, on Linux, macOS and Windows."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mimicbrush.errors import UserError

if TYPE_CHECKING:
    import torch

GIBIBYTE, MEBIBYTE = 2**30, 2**20
"""Units in bytes."""

PROC = Path("/proc/self")
"""Folder in which Linux describes this process."""
CGROUPS = Path("/sys/fs/cgroup")
"""Folder in which Linux shows the limits of containers and Slurm jobs."""
CPU_INFO = Path("/proc/cpuinfo")
"""File in which Linux describes the processor."""
RESET_PEAK = "5"
"""Value for clear_refs that resets a process's peak of resident memory to its present value (Linux, proc(5))."""


def require_posix(activity: str) -> None:
    """Raise UserError on Windows, which has neither SIGUSR1, nor file locks, nor processes forked from a server."""
    if sys.platform == "win32":
        raise UserError(
            f"{activity} needs Linux or macOS (POSIX signals, file locks, forked workers), found Windows; run it in"
            " WSL 2. Editing and evaluation run on Windows"
        )


def allowed_cores() -> frozenset[int]:
    """Numbers of the CPU cores on which this process may run; all cores if the system has no affinity masks."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Number of CPU cores that this process can use: limited by its affinity mask and its container's CPU time."""
    return max(1, math.ceil(min(len(allowed_cores()), _cpu_quota(PROC, CGROUPS))))


def processor_name() -> str:
    """The processor's model, such as `AMD EPYC 7763 64-Core Processor`; outside Linux often only its architecture."""
    with suppress(OSError):
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_memory() -> int:
    """Bytes of memory of the machine, or of its container if that has less. Not available on Windows."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(physical, _memory_limit(PROC, CGROUPS)))


def peak_memory(device: torch.device) -> float:
    """Peak bytes since the last reset, or the start: of the GPU's allocator, or of this process's resident memory.

    NaN if the system does not report it (Windows).
    """
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        for line in (PROC / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return math.nan
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory(device: torch.device) -> bool:
    """Reset the peak; returns False if the system does not allow it, so that the peak is that of the whole process."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return True
    with suppress(OSError):
        (PROC / "clear_refs").write_text(RESET_PEAK)
        return True
    return False


# --- Control groups of Linux ----------------------------------------------------------------------------------------


def _cpu_quota(proc: Path, cgroups: Path) -> float:
    """Limit of CPU time, as a number of cores; infinite without a limit."""
    quotas = [math.inf]
    for group in _groups_of(proc, cgroups, "cpu"):
        with suppress(OSError, ValueError):
            # Version 2: "150000 100000", or "max 100000".
            time, period = (group / "cpu.max").read_text().split()
            quotas.append(int(time) / int(period))
        with suppress(OSError, ValueError):
            # Version 1: -1 without a limit.
            time = int((group / "cpu.cfs_quota_us").read_text())
            quotas.append(time / int((group / "cpu.cfs_period_us").read_text()) if time > 0 else math.inf)
    return min(quotas)


def _memory_limit(proc: Path, cgroups: Path) -> float:
    """Limit of memory in bytes; infinite without a limit."""
    limits = [math.inf]
    for group in _groups_of(proc, cgroups, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limits.append(int((group / name).read_text()))
    return min(limits)


def _groups_of(proc: Path, cgroups: Path, controller: str) -> Iterator[Path]:
    """Folders of the process's control group and its parents, of version 1 and 2; each may set a limit."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (proc / "cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroups / controller if controllers else cgroups
        # In a container the path may be that on the host; then only the root exists.
        folder = root / group.lstrip("/")
        yield from (folder, *(parent for parent in folder.parents if parent.is_relative_to(root)))
