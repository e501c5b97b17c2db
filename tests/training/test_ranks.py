"""How many ranks there are, and that none is waited for in vain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from lightning.pytorch.strategies import DDPStrategy

from mimicbrush.errors import UserError
from mimicbrush.training.ranks import find_ranks, is_first
from tests.training.test_resume import config, start  # noqa: F401

VARIABLES = ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_PROCID", "SLURM_JOB_NAME", "RANK", "LOCAL_RANK")
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "LOCAL_WORLD_SIZE": "4",
    "WORLD_SIZE": "8",
    "RANK": "5",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "1",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_config_says_how_many_ranks_there_are():
    assert find_ranks(8, 2)[:2] == (8, 2)
    assert find_ranks(1, 1).strategy == "auto"
    assert isinstance(find_ranks(1, 2).strategy, DDPStrategy)
    assert is_first()


def test_each_task_of_a_slurm_step_is_a_rank(monkeypatch):
    for name, value in {"SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3", "SLURM_PROCID": "2"}.items():
        monkeypatch.setenv(name, value)
    assert find_ranks("auto", 1)[:2] == (2, 3)
    assert not is_first()


def test_torchrun_says_how_many_ranks_there_are(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert find_ranks("auto", 1)[:2] == (4, 2)
    assert not is_first()


def test_torchrun_may_itself_be_a_task_of_a_step(monkeypatch):
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "0"}
    for name, value in {**step, **TORCHRUN}.items():
        monkeypatch.setenv(name, value)
    assert find_ranks("auto", 1)[:2] == (4, 2)
    assert not is_first()


def test_a_shell_that_srun_has_started_is_no_task(monkeypatch):
    step = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_NAME": "bash"}
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    assert find_ranks(2, 1)[:2] == (2, 1)


def test_tasks_that_nodes_cannot_share_are_refused(monkeypatch):
    for name, value in {"SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_NUM_NODES": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="3 tasks on 2 nodes"):
        find_ranks("auto", 1)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def python_children(pid: int) -> list[int]:
    """Those that run train.py: ranks, or loader workers."""
    return [child for child in children(pid) if "train.py" in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("--run.devices=2", "--data.batch_size=2"), "another rank"),
        (("--data.num_workers=2",), "a loader worker"),
    ],
    ids=["rank", "worker"],
)
def test_a_dead_rank_or_worker_ends_the_run_with_its_reason(config, overrides, reason):  # noqa: F811
    process = start(config, *overrides, "--run.max_steps=100000")
    while not (config.output / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.kill(python_children(process.pid)[0], signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    (error,) = [line for line in said.replace("\r", "\n").splitlines() if "error: " in line]
    assert reason in error.rpartition("error: ")[2]
