"""Small random networks of every kind, on disk in their real formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimicbrush.bench.metric_networks import write_networks
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.models import Models


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> ModelsConfig:
    return write_networks(tmp_path_factory.mktemp("networks"), "tiny")


@pytest.fixture
def models(networks: ModelsConfig) -> Models:
    return Models(networks, device="cpu")


@pytest.fixture
def no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has ever been fetched."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
