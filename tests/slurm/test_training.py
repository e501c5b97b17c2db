"""Training on two ranks: to the end, put back into the queue on the way, and stopped before its time is up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from mimicbrush.data.shards import write_shard
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.records import read_records
from tests.conftest import make_checkout, make_pairs
from tests.slurm.conftest import ON_CPU, Job, Submit
from tests.test_road import train_config

pytestmark = pytest.mark.slurm
NUM_STEPS = 40
TWO_RANKS = [*ON_CPU, "--ntasks-per-node=2", "--gpus-per-node=0"]
ON_TWO_NODES = [*ON_CPU, "--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=0"]


class Training:
    """Small runs, their checkout and their data in a folder."""

    def __init__(self, folder: Path, submit: Submit) -> None:
        self.folder = folder
        self.checkout = make_checkout(folder / "checkout")
        self.submit = submit
        for seed, (name, stills) in enumerate({"videos": False, "stills": True}.items()):
            for number in range(4):
                pairs = make_pairs(8, seed=10 * seed + number, stills=stills)
                write_shard(folder / name / f"{name}-{number:06d}.tar", pairs, {})
        self.config = train_config(folder)

    def start(self, output: str, *, binding: str = "", options: list[str] = TWO_RANKS) -> Job:
        """Submit a run with one loader worker a rank, which Slurm's signals reach too.

        binding: of ranks to cores, as in SLURM_CPU_BIND; empty for Slurm's own.
        """
        settings = [f"--run.max_steps={NUM_STEPS}", "--run.checkpoint_every=5", "--run.record_every=1"]
        settings += ["--data.num_workers=1"]
        command = ["--config", self.config, "--output", self.folder / output, *settings]
        with pytest.MonkeyPatch.context() as patch:
            if binding:
                patch.setenv("SLURM_CPU_BIND", binding)
            return self.submit(self.checkout, "train.sh", *command, options=options)

    def start_and_wait_for_steps(self, output: str, **fields) -> Job:
        job = self.start(output, **fields)
        job.until(lambda: len(self.steps(output)) >= 8, "8 steps")
        return job

    def steps(self, output: str) -> list[int]:
        return [int(row["step"]) for row in read_records(self.folder / output / "metrics.csv")]

    def weights(self, output: str) -> dict[str, torch.Tensor]:
        """Trained and averaged weights of the last checkpoint."""
        checkpoint = read_checkpoint(self.folder / output / "checkpoints" / "last.ckpt")
        assert checkpoint["global_step"] == NUM_STEPS
        return checkpoint["state_dict"] | {f"ema.{name}": value for name, value in checkpoint["ema"].items()}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, submit: Submit) -> Training:
    return Training(tmp_path_factory.mktemp("training"), submit)


@pytest.fixture(scope="module")
def whole(training: Training) -> Job:
    """An uninterrupted run, with a core for each rank."""
    return training.start("whole", binding="map_cpu:0,1").wait()


def assert_as_uninterrupted(training: Training, output: str) -> None:
    """The same weights, bit for bit, and every step recorded once."""
    expected, found = training.weights("whole"), training.weights(output)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert training.steps(output) == list(range(1, NUM_STEPS + 1))


def assert_says_of_cores(job: Job, expected: str) -> None:
    """The ranks are compared with the cores that they are bound to."""
    log = " ".join(job.log.split())
    possible = ("1 rank with 1 loader worker on 1 core of", "2 ranks with 1 loader worker each")
    assert [said for said in possible if said in log] == [expected]


def test_two_ranks_train_to_the_end(training: Training, whole: Job) -> None:
    assert training.steps("whole") == list(range(1, NUM_STEPS + 1))
    assert all(value.isfinite().all() for value in training.weights("whole").values())
    assert_says_of_cores(whole, "1 rank with 1 loader worker on 1 core of")


def test_a_requeued_run_on_two_nodes_ends_with_the_weights_of_an_uninterrupted_one_on_one(
    training: Training, whole: Job
) -> None:
    job = training.start_and_wait_for_steps("requeued", options=ON_TWO_NODES)
    job.requeue()
    assert job.wait().restarts == 1
    assert_as_uninterrupted(training, "requeued")


def test_a_run_near_its_time_limit_queues_itself_again_and_all_ranks_wait_for_a_slow_controller(
    training: Training, whole: Job
) -> None:
    slow = training.folder / "slow" / "scontrol"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/bash\nsleep 10\nexec "{shutil.which("scontrol")}" "$@"\n')
    slow.chmod(0o755)
    path = f"--export=ALL,PATH={slow.parent}:{os.environ['PATH']}"
    job = training.start_and_wait_for_steps("warned", binding="mask_cpu:0x3,0x3", options=[*TWO_RANKS, path])
    job.signal("USR1")
    assert job.wait().restarts == 1
    assert "stopped by SIGUSR1 after step " in job.log
    assert_says_of_cores(job, "2 ranks with 1 loader worker each")
    assert_as_uninterrupted(training, "warned")
