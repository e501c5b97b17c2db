"""Preconditions of training, checked before torch is imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.preconditions import announce_training, check_training
from tests.conftest import network_config


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """A config whose inputs are all missing."""
    parts = {name: PartConfig(pretrained=str(tmp_path / name)) for name in ("autoencoder", "image_encoder")}
    return TrainConfig(
        output=tmp_path / "run",
        network=network_config(weights=str(tmp_path / "weights"), **parts),
        data=DataConfig(sources=[SourceConfig(shards=tmp_path / "shards", weight=1)], heldout=tmp_path / "heldout"),
    )


def test_all_inputs_that_are_missing_are_named_together(config):
    with pytest.raises(UserError) as caught:
        check_training(config)
    names = ("shards", "heldout", "autoencoder", "image_encoder", "weights")
    for fault, name in zip(caught.value.faults, names, strict=True):
        assert name in fault.split(";")[0]


def test_check_and_a_run_with_a_checkpoint_do_not_require_inputs(config):
    check_training(replace(config, check=True))
    checkpoint = config.output / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    check_training(config)


def test_the_first_rank_alone_announces_the_run(config, monkeypatch):
    assert announce_training(config) == f"loading libraries to train {config.output} ..."
    assert announce_training(replace(config, check=True)).startswith("loading libraries to check ")
    for name, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(name, value)
    assert announce_training(config) is None
