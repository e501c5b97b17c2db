"""Usable cores and memory, read from files like those of Linux, and on systems that lack functions of Linux."""

from __future__ import annotations

import builtins
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mimicbrush import machine
from mimicbrush.errors import UserError
from mimicbrush.machine import (
    peak_memory,
    processor_name,
    require_posix,
    reset_peak_memory,
    usable_cores,
    usable_memory,
)
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that there are eight cores, and put a temporary folder with `proc` and `cgroups` in place of /."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name in ("proc", "cgroups"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(machine, {"proc": "PROC", "cgroups": "CGROUPS"}[name], tmp_path / name)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_cores_are_those_of_the_mask(system, monkeypatch):
    assert usable_cores() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert usable_cores() == 2
    assert machine.allowed_cores() == {3, 5}


def test_a_system_without_masks_counts_its_cores(system, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1)])
def test_a_container_is_granted_its_share_of_the_cores(system, quota, cores):
    write(system / "proc" / "cgroup", "0::/")
    write(system / "cgroups" / "cpu.max", quota)
    assert usable_cores() == cores


def test_a_limit_of_any_group_around_the_process_holds(system):
    write(system / "proc" / "cgroup", "0::/job_7/step_0/task_1")
    write(system / "cgroups" / "job_7" / "cpu.max", "200000 100000")
    write(system / "cgroups" / "job_7" / "step_0" / "task_1" / "cpu.max", "max 100000")
    write(system / "cgroups" / "job_7" / "memory.max", "1048576")
    assert usable_cores() == 2
    assert usable_memory() == 2**20


def test_control_groups_of_version_1_hold(system):
    write(system / "proc" / "cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n0::/")
    # The container's group is the root of what it sees.
    write(system / "cgroups" / "cpu" / "cpu.cfs_quota_us", "400000")
    write(system / "cgroups" / "cpu" / "cpu.cfs_period_us", "100000")
    write(system / "cgroups" / "memory" / "docker" / "abc" / "memory.limit_in_bytes", "2097152")
    assert usable_cores() == 4
    assert usable_memory() == 2**21
    write(system / "cgroups" / "cpu" / "cpu.cfs_quota_us", "-1")
    assert usable_cores() == 8


def test_the_processor_is_named_by_its_model_or_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert processor_name() == "riscv64"
    write(tmp_path / "cpuinfo", "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nmodel name\t: another")
    assert processor_name() == "Fast CPU @ 3 GHz"


PEAKS = """
from types import SimpleNamespace
from mimicbrush.machine import peak_memory, reset_peak_memory
cpu = SimpleNamespace(type="cpu")
peaks = [peak_memory(cpu)]
b"1" * 2**28  # 256 MiB, freed at once
peaks.append(peak_memory(cpu))
is_reset = reset_peak_memory(cpu)
print(int(is_reset), *peaks, peak_memory(cpu))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_peak_includes_freed_memory_until_it_is_reset():
    # In its own process without other threads, because anything else in this process has peaks, too.
    said = subprocess.run([sys.executable, "-c", PEAKS], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    is_reset, before, after, anew = map(int, said.stdout.split())
    # The kernel counts pages on each core separately, and adds them up from time to time.
    assert abs(after - before - 2**28) < 2**24
    assert (anew < after - 2**27) if is_reset else (anew >= after)


def test_peaks_have_each_systems_unit(system, monkeypatch):
    resource = pytest.importorskip("resource")
    usage = type("Usage", (), {"ru_maxrss": 3_000})
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    (system / "proc").rmdir()
    assert not reset_peak_memory(CPU)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory(CPU) == 3_000
    monkeypatch.setattr(sys, "platform", "linux")
    assert peak_memory(CPU) == 3_000 * 1024


def test_a_system_that_does_not_tell_has_an_unknown_peak(system, monkeypatch):
    imported = builtins.__import__

    def without_resource(name: str, *args, **kwargs) -> object:
        if name == "resource":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_resource)
    assert math.isnan(peak_memory(CPU))


def test_windows_says_what_it_lacks_and_what_runs_there(monkeypatch):
    require_posix("training")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match=r"training needs Linux or macOS .* found Windows; .* evaluation run"):
        require_posix("training")
