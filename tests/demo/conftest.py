"""Pictures as somebody uploads them, and a page over the tiny network."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.painting import Painting, Stroke
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.workspace import Workspace
from mimicbrush.model.weights import initialise, save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from tests.conftest import network_config

BOX = Stroke(tool="box", points=[(20, 15), (40, 30)])


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "weights"
    save_pretrained(initialise(network_config()).eval(), folder)
    return folder


@pytest.fixture
def config(weights: Path) -> DemoConfig:
    return DemoConfig(weights=str(weights), device="cpu")


@pytest.fixture(scope="session")
def pipe(weights: Path) -> MimicBrushPipeline:
    return MimicBrushPipeline.from_pretrained(weights)


@pytest.fixture
def studio(pipe: MimicBrushPipeline, config: DemoConfig) -> Studio:
    return Studio(pipe, config.limits)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")
    (tmp_path / "workspace").mkdir()
    return Workspace(tmp_path / "workspace")


def write_picture(path: Path, *, size: tuple[int, int] = (80, 60), seed: int = 0, mode: str = "RGB") -> Path:
    """Random pixels; the suffix says in which format."""
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(levels).convert(mode).save(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Painting:
    return Painting(picture=write_picture(tmp_path / "photo.png"), strokes=(BOX,), size=(80, 60))


@pytest.fixture
def reference(tmp_path: Path) -> Painting:
    return Painting(picture=write_picture(tmp_path / "other.png", seed=1), size=(80, 60))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
