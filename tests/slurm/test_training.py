"""Training on two ranks: to the end, put back into the queue on the way, and stopped before its time is up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from mimicbrush.data.shards import write_shard
from mimicbrush.model.weights.run import read_checkpoint
from mimicbrush.training.records import read_records
from tests.conftest import make_checkout, make_pairs
from tests.slurm.conftest import ON_CPU, Job, Submit
from tests.test_road import train_config

pytestmark = pytest.mark.slurm
NUM_STEPS = 40
TWO_RANKS = [*ON_CPU, "--ntasks-per-node=2", "--gpus-per-node=0"]
ON_TWO_NODES = [*ON_CPU, "--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=0"]


class Training:
    """A small run, its checkout and its data in a folder."""

    def __init__(self, folder: Path, submit: Submit) -> None:
        self.folder = folder
        self.checkout = make_checkout(folder / "checkout")
        self.submit = submit
        for seed, (name, stills) in enumerate({"videos": False, "stills": True}.items()):
            for number in range(4):
                pairs = make_pairs(8, seed=10 * seed + number, stills=stills)
                write_shard(folder / name / f"{name}-{number:06d}.tar", pairs, {})
        self.config = train_config(folder)

    def start(self, output: str, *arguments: str, options: list[str] = TWO_RANKS) -> Job:
        settings = [f"--run.max_steps={NUM_STEPS}", "--run.checkpoint_every=5", "--run.record_every=1"]
        command = ["--config", self.config, "--output", self.folder / output, *settings, *arguments]
        return self.submit(self.checkout, "train.sh", *command, options=options)

    def steps(self, output: str) -> list[int]:
        return [int(row["step"]) for row in read_records(self.folder / output / "metrics.csv")]

    def weights(self, output: str) -> dict[str, torch.Tensor]:
        """Of the last checkpoint: those trained, and their average."""
        checkpoint = read_checkpoint(self.folder / output / "checkpoints" / "last.ckpt")
        assert checkpoint["global_step"] == NUM_STEPS
        return checkpoint["state_dict"] | {f"ema.{name}": value for name, value in checkpoint["ema"].items()}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, submit: Submit) -> Training:
    """With an uninterrupted run in `whole`."""
    training = Training(tmp_path_factory.mktemp("training"), submit)
    training.start("whole").wait()
    return training


def assert_as_uninterrupted(training: Training, output: str) -> None:
    """The same weights, bit for bit, and every step recorded once."""
    expected, found = training.weights("whole"), training.weights(output)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert training.steps(output) == list(range(1, NUM_STEPS + 1))


def test_two_ranks_train_to_the_end(training: Training) -> None:
    assert training.steps("whole") == list(range(1, NUM_STEPS + 1))
    assert all(value.isfinite().all() for value in training.weights("whole").values())


def test_two_nodes_train_as_one(training: Training) -> None:
    training.start("nodes", options=ON_TWO_NODES).wait()
    assert_as_uninterrupted(training, "nodes")


def test_ranks_are_compared_with_the_cores_they_are_bound_to(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["--run.max_steps=2", "--data.num_workers=1"]
    for name, binding in {"apart": "map_cpu:0,1", "together": "mask_cpu:0x3,0x3"}.items():
        monkeypatch.setenv("SLURM_CPU_BIND", binding)
        log = " ".join(training.start(name, *settings).wait().log.split())
        assert training.steps(name) == [1, 2]
        expected = {
            "apart": "1 rank with 1 loader worker on 1 core of",
            "together": "2 ranks with 1 loader worker each",
        }
        assert [said for said in expected.values() if said in log] == [expected[name]]


def after_some_steps(training: Training, output: str, options: list[str] = TWO_RANKS) -> Job:
    # The uninterrupted run has no loader's worker; Slurm's signals reach it too, and it changes nothing.
    job = training.start(output, "--data.num_workers=1", options=options)
    job.until(lambda: len(training.steps(output)) >= 8, "8 steps")
    return job


def test_a_requeued_run_ends_with_the_weights_of_an_uninterrupted_one(training: Training) -> None:
    job = after_some_steps(training, "requeued")
    job.requeue()
    assert job.wait().restarts == 1
    assert_as_uninterrupted(training, "requeued")


def test_a_run_near_its_time_limit_queues_itself_again(training: Training) -> None:
    job = after_some_steps(training, "warned")
    job.signal("USR1")
    assert job.wait().restarts == 1
    assert "stopped by SIGUSR1 after step " in job.log
    assert_as_uninterrupted(training, "warned")


def test_all_ranks_wait_for_a_slow_controller(training: Training) -> None:
    slow = training.folder / "slow" / "scontrol"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/bash\nsleep 10\nexec "{shutil.which("scontrol")}" "$@"\n')
    slow.chmod(0o755)
    path = f"--export=ALL,PATH={slow.parent}:{os.environ['PATH']}"
    job = after_some_steps(training, "slow", [*TWO_RANKS, path])
    job.signal("USR1")
    assert job.wait().restarts == 1
    assert_as_uninterrupted(training, "slow")
