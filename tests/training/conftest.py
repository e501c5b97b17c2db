"""A short training run that many tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import make_shards


@pytest.fixture(scope="session")
def shards_and_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Path]:
    """Shards, and a finished run of two steps on them; neither may be changed."""
    from tests.training.test_training import config, fit

    folder = tmp_path_factory.mktemp("trained")
    shards = make_shards(folder / "shards")
    with pytest.MonkeyPatch.context() as monkeypatch:
        fit(config(shards, folder / "run"), folder, monkeypatch)
    return shards, folder / "run"


@pytest.fixture
def trained(shards_and_run: tuple[dict[str, Path], Path], shards: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the run with this test's own `shards`, which have the same content."""
    finished_on, finished = shards_and_run
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    settings = (run / "config.yaml").read_text()
    for name, folder in shards.items():
        settings = settings.replace(str(finished_on[name]), str(folder))
    (run / "config.yaml").write_text(settings.replace(str(finished), str(run)))
    return run
