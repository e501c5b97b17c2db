"""Running the same command again resumes exactly: a killed run ends with the same weights, bit for bit."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.config import dump_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.records import read_records
from tests.conftest import REPOSITORY, make_shards, network_config
from tests.training.test_training import config as short_config
from tests.training.test_training import fit
from tests.training.train_process import TrainProcess

NUM_STEPS = 60
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


def make_config(shards: dict[str, Path], output: Path) -> TrainConfig:
    sources = [SourceConfig(shards=shards["videos"], weight=0.7), SourceConfig(shards=shards["stills"], weight=0.3)]
    return TrainConfig(
        output=output,
        network=network_config(),
        data=DataConfig(sources=sources, batch_size=4, num_workers=0),
        recipe=RecipeConfig(learning_rate=1e-3, warmup_steps=10, train_reference=True),
        run=RunConfig(
            max_steps=NUM_STEPS,
            precision="32-true",
            accelerator="cpu",
            devices=1,
            checkpoint_every=7,
            record_every=5,
        ),
    )


@pytest.fixture
def config(shards: dict[str, Path], tmp_path: Path) -> TrainConfig:
    return make_config(shards, tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run that has ended without interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    config = make_config(make_shards(folder / "shards"), folder / "run")
    # Started as users start it, while the compared runs are forked.
    process = start_command(config)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return config


def write_config(config: TrainConfig) -> Path:
    path = config.output.with_suffix(".yaml")
    path.write_text(dump_config(config))
    return path


def start_command(config: TrainConfig, *overrides: str) -> subprocess.Popen:
    command = [sys.executable, str(REPOSITORY / "train.py"), "--config", str(write_config(config)), *overrides]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def start(config: TrainConfig, *overrides: str) -> TrainProcess:
    return TrainProcess(["--config", str(write_config(config)), *overrides], config.output.with_suffix(".log"))


def finish(config: TrainConfig, *overrides: str) -> None:
    process = start(config, *overrides)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def last_recorded(config: TrainConfig) -> int:
    """Last step in metrics.csv, 0 if there is none."""
    return max((row["step"] for row in read_records(config.output / "metrics.csv")), default=0)


def interrupt(config: TrainConfig, number: signal.Signals, *overrides: str) -> tuple[int, str]:
    """Start the run and send a signal to it and all its children once ten further steps are recorded.

    Returns its exit status, and what it printed.
    """
    until = last_recorded(config) + 10
    process = start(config, *overrides)
    while process.poll() is None and last_recorded(config) < until:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate(timeout=60)[0]
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def step_of(config: TrainConfig) -> int:
    """Step of the last checkpoint."""
    return read_checkpoint(config.output / "checkpoints" / "last.ckpt")["global_step"]


def weights(config: TrainConfig) -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint(config.output / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == config.run.max_steps
    return {**checkpoint["state_dict"], **{f"ema {name}": value for name, value in checkpoint["ema"].items()}}


def heldout_losses(config: TrainConfig) -> dict[int, float]:
    """Read the held-out losses by step."""
    rows = read_records(config.output / "metrics.csv")
    return {row["step"]: row["heldout_loss"] for row in rows if not math.isnan(row["heldout_loss"])}


def elsewhere(config: TrainConfig, name: str) -> TrainConfig:
    return replace(config, output=config.output.with_name(name))


def check_equal(config: TrainConfig, other: TrainConfig) -> None:
    torch.testing.assert_close(weights(config), weights(other), rtol=0, atol=0)
    steps = [row["step"] for row in read_records(config.output / "metrics.csv")]
    # A run that was asked to stop has recorded its last step, too.
    assert steps == sorted(set(steps) | set(range(5, config.run.max_steps + 1, 5)))


@pytest.mark.slow
def test_a_killed_run_ends_with_the_uninterrupted_runs_weights(uninterrupted, tmp_path):
    """The run is killed twice, and resumes each time with another number of loader workers."""
    killed = replace(uninterrupted, output=tmp_path / "killed")
    steps = [0]
    for num_workers in (4, 1):
        assert interrupt(killed, signal.SIGKILL, f"--data.num_workers={num_workers}")[0] == -signal.SIGKILL
        steps.append(step_of(killed))
        assert steps[-2] < steps[-1] < NUM_STEPS
    finish(killed, "--data.num_workers=2")
    check_equal(killed, uninterrupted)


@pytest.mark.slow
def test_a_killed_run_that_accumulates_does_so_too(config):
    run = replace(config.run, accumulate=2, max_steps=35)
    accumulating = replace(config, run=run, data=replace(config.data, batch_size=2))
    whole, killed = elsewhere(accumulating, "whole"), elsewhere(accumulating, "killed")
    finish(whole)
    assert interrupt(killed, signal.SIGKILL)[0] == -signal.SIGKILL
    finish(killed)
    check_equal(killed, whole)


@pytest.mark.slow
def test_two_ranks_resume_too_and_as_one_that_accumulates(config, shards):
    """Two killed ranks resume; one rank with twice the batches takes the same steps, up to rounding."""
    config = replace(config, run=replace(config.run, max_steps=40))
    judged = (f"--data.heldout={shards['heldout']}", "--run.heldout_loss_every=20")
    judged += ("--run.preview_every=0", "--run.reference_use_every=0")
    one = ("--run.samples_per_step=4", "--data.batch_size=2", *judged)
    two = ("--run.devices=2", *one)
    whole, killed, alone = (elsewhere(config, name) for name in ("whole", "killed", "alone"))
    finish(whole, *two)
    assert interrupt(killed, signal.SIGKILL, *two)[0] == -signal.SIGKILL
    finish(killed, *two)
    check_equal(killed, whole)
    # The second rank receives the measurement of the first: both write the checkpoint of the best step.
    losses = heldout_losses(whole)
    assert losses.keys() == {20, 40}
    assert heldout_losses(killed) == losses
    best = read_checkpoint(whole.output / "checkpoints" / "best.ckpt")
    assert best["global_step"] == min(losses, key=losses.get)
    interrupt(alone, signal.SIGTERM, *two)
    finish(alone, *one)
    torch.testing.assert_close(weights(alone), weights(whole), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_signal_writes_a_checkpoint_from_which_the_run_resumes(uninterrupted, tmp_path):
    """Send three signals, one after the other."""
    stopped = replace(uninterrupted, output=tmp_path / "stopped")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        options = ("--run.checkpoint_every=1000", "--data.num_workers=2")
        status, output = interrupt(stopped, number, *options)
        assert status == 128 + number, output
        assert f"stopped by {number.name} after step" in output
        assert "Traceback" not in output
        assert step_of(stopped) == last_recorded(stopped)
    finish(stopped)
    check_equal(stopped, uninterrupted)


def test_another_number_of_samples_a_step_is_refused(shards, trained, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"this run takes 4 samples per step, now 3; set run\.samples_per_step to 4"):
        fit(short_config(shards, trained), tmp_path, monkeypatch, "--run.max_steps=3", "--data.batch_size=3")


def test_other_shards_are_refused(shards, trained, tmp_path, monkeypatch):
    for path in shards["heldout"].iterdir():
        shutil.copy(path, shards["videos"])
    with pytest.raises(UserError, match="the shards are not those that this run has begun with"):
        fit(short_config(shards, trained), tmp_path, monkeypatch, "--run.max_steps=3")
