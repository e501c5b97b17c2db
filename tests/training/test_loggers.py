"""Logging to wandb, without a network."""

from typing import ClassVar

import pytest
import wandb

from mimicbrush.errors import UserError
from mimicbrush.training import loggers
from mimicbrush.training.loggers import ID_FILE, make_logger
from tests.training.test_training import WITH_PICTURES, config, fit


def test_online_without_an_account_ends_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    with pytest.raises(UserError, match=r"run `wandb login`, or train with --run\.wandb offline"):
        make_logger("online", tmp_path, {})
    assert not (tmp_path / ID_FILE).exists()


def test_online_without_a_network_ends_in_one_sentence(tmp_path, monkeypatch):
    def fail(**_) -> bool:
        raise wandb.errors.AuthenticationError("no route to host")

    monkeypatch.setattr(wandb, "login", fail)
    with pytest.raises(UserError, match=r"cannot be reached \(no route to host\)"):
        make_logger("online", tmp_path, {})


def test_a_folder_keeps_its_runs_id(tmp_path):
    ids = [make_logger("offline", tmp_path, {}).version for _ in range(2)]
    assert ids[0] == ids[1] == (tmp_path / ID_FILE).read_text().strip()


class RecordedLogger(loggers.RunLogger):
    """Logger that records its calls instead of calling wandb."""

    told: ClassVar[list[tuple[str, int]]] = []

    def log_metrics(self, metrics, step=None) -> None:
        self.told += [(name, step) for name in metrics]

    def log_image(self, key, images, step=None) -> None:
        self.told.append((f"image {key}", step))


def test_a_run_logs_its_numbers_and_previews(shards, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(loggers, "RunLogger", RecordedLogger)
    monkeypatch.setattr(RecordedLogger, "experiment", None)
    fit(config(shards, tmp_path / "run", wandb="offline", **WITH_PICTURES), tmp_path, monkeypatch)
    assert {("loss", 1), ("grad_norm", 2), ("image previews", 2)} <= set(RecordedLogger.told)
    assert ("reference use / another / both", 2) in RecordedLogger.told
