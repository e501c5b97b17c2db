"""Small benchmark sets whose pictures are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from evaluate import COMMAND
from mimicbrush.command import call_command

REPOSITORY = Path(__file__).parents[2]


def write_triplet(folder: Path, name: str, *, size: int = 40, seed: int = 0, reference_mask: bool = True) -> None:
    """Random source and reference, and an L-shaped mask that lies off the centre."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), np.uint8)
    mask[6:18, 4:12] = mask[12:18, 4:24] = 255
    reference = np.zeros((30, 36), np.uint8)
    reference[5:20, 8:30] = 255
    Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(folder / f"{name}_source.png")
    Image.fromarray(rng.integers(0, 256, (30, 36, 3), np.uint8)).save(folder / f"{name}_reference.png")
    Image.fromarray(mask).save(folder / f"{name}_source_mask.png")
    if reference_mask:
        Image.fromarray(reference).save(folder / f"{name}_reference_mask.png")


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """make_set(name, number): a folder of that many sound triplets."""

    def make(name: str = "set", number: int = 3, **options) -> Path:
        for index in range(number):
            write_triplet(tmp_path / name, f"{index:03d}", seed=index, **options)
        return tmp_path / name

    return make


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., Path]:
    """evaluate(fields): write them as YAML and run evaluate.py on it; returns the output folder."""

    def run(fields: dict) -> Path:
        fields = {"output": str(tmp_path / "out"), **fields}
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(fields, sort_keys=False))
        call_command(COMMAND, ["--config", str(config)])
        return Path(fields["output"])

    return run
