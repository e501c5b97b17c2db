"""Number of ranks, their cores, and the end of a run whose rank has died."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from mimicbrush.errors import UserError
from mimicbrush.training import ranks
from mimicbrush.training.first_rank import is_first
from mimicbrush.training.ranks import CoreCheck, RankCores, find_ranks, fullest_share, own_cores
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


# --- CPU cores -----------------------------------------------------------------------------------------------------


def rank(*cores: int, node: str = "node", usable: int = 0) -> RankCores:
    return RankCores(node, frozenset(cores), usable or len(cores))


def bound(num_ranks: int, cores_each: int) -> list[RankCores]:
    """Ranks with separate cores, as Slurm's task/affinity binds them."""
    return [rank(*range(number * cores_each, (number + 1) * cores_each)) for number in range(num_ranks)]


def test_bound_ranks_have_their_own_cores():
    share = fullest_share(bound(8, 8))
    assert share[1:] == (1, 8)
    assert not share.is_crowded(7)
    assert share.is_crowded(8)
    assert fullest_share(bound(2, 1))[1:] == (1, 1)
    fullest_share(bound(2, 1)).refuse_too_many()


def test_ranks_that_share_a_mask_share_its_cores():
    share = fullest_share([rank(*range(64))] * 8)
    assert share[1:] == (8, 64)
    assert not share.is_crowded(7)
    assert share.is_crowded(8)
    with pytest.raises(UserError, match="3 ranks share 2 cores of node; start fewer ranks"):
        fullest_share([rank(0, 1)] * 3).refuse_too_many()


def test_the_worst_cores_of_all_nodes_count():
    sockets = [rank(*range(16))] * 4 + [rank(*range(16, 32))] * 4
    assert fullest_share(sockets)[1:] == (4, 16)
    assert fullest_share([*bound(2, 8), rank(0, 1, node="other"), rank(0, 1, node="other")]) == ("other", 2, 2)
    # One rank is bound to a core that two others share.
    assert fullest_share([rank(0, 1, 2, 3), rank(0, 1, 2, 3), rank(2)])[1:] == (1, 1)
    # As many cores as the container's CPU quota allows.
    assert fullest_share([rank(*range(64), usable=16)] * 4)[1:] == (4, 16)


def test_a_share_says_what_fits():
    share = fullest_share(bound(8, 8))
    assert share.describe(8) == "1 rank with 8 loader workers on 8 cores of node"
    assert share.remedy().startswith("lower data.num_workers to 7, ")
    share = fullest_share([rank(*range(16))] * 4)
    assert share.describe(8) == "4 ranks with 8 loader workers each on 16 cores of node"
    assert share.remedy().startswith("lower data.num_workers to 3, ")


def met(monkeypatch, num_workers: int, cores: Sequence[RankCores]) -> list[str]:
    """Output after ranks with these cores have connected."""

    def gather(into: list, own: RankCores) -> None:
        into[:] = cores

    monkeypatch.setattr(ranks, "own_cores", lambda: cores[0])
    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer, printed = SimpleNamespace(world_size=len(cores), strategy=strategy), []
    CoreCheck(num_workers).on_fit_start(trainer, SimpleNamespace(print=printed.append))
    return printed


def test_a_node_has_the_name_that_slurm_gives_it(monkeypatch):
    """Two nodes of a test cluster are one host, but for Slurm their cores are separate."""
    monkeypatch.setenv("SLURMD_NODENAME", "second")
    assert own_cores().node == "second"
    monkeypatch.delenv("SLURMD_NODENAME")
    assert own_cores().node == platform.node()


def test_ranks_compare_their_cores_when_they_have_connected(monkeypatch):
    assert met(monkeypatch, 7, bound(8, 8)) == []
    (output,) = met(monkeypatch, 8, [rank(*range(64))] * 8)
    assert output.startswith("8 ranks with 8 loader workers each on 64 cores of node wait for each other: lower ")
    # The doctor's report about the first rank is not repeated.
    assert met(monkeypatch, 8, bound(8, 8)) == []
    with pytest.raises(UserError, match="3 ranks share 2 cores"):
        met(monkeypatch, 0, [rank(0, 1)] * 3)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def python_children(pid: int) -> list[int]:
    """Processes of ranks, which run train.py, or of loader workers, which a forked process has forked."""
    lines = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children(pid)}
    return [child for child, line in lines.items() if "train.py" in line or "forkserver" in line]


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
        assert process.poll() is None, process.communicate(timeout=60)[0]
        time.sleep(0.05)
    os.kill(python_children(process.pid)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    (error,) = [line for line in output.replace("\r", "\n").splitlines() if "error: " in line]
    assert reason in error.rpartition("error: ")[2]
