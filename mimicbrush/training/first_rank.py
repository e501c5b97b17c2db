"""Find out, without torch, whether this process is the first rank, which prints and writes for all."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this process prints and writes for all ranks."""
    if was_started_by_torchrun():
        names = ("RANK",)
    else:
        names = ("SLURM_PROCID",) if was_started_by_srun() else ("NODE_RANK", "LOCAL_RANK")
    return not any(int(os.environ.get(name, 0)) for name in names)


def was_started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def was_started_by_srun() -> bool:
    """Whether this is a task of a Slurm step; a shell that srun has started is not, and starts its own ranks."""
    is_shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "sh", "interactive")
    return "SLURM_STEP_NUM_TASKS" in os.environ and not is_shell
