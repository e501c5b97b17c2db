"""A folder to edit in, and the command as it is given there."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.edit.subcommands import COMMANDS
from mimicbrush.errors import UserError, end_with_error
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from tests.conftest import network_config

BATCH = {"source": None, "mask": None, "reference": None, "output": None}
"""A batch command leaves these options out: its rows name them."""


@pytest.fixture(scope="session")
def saved_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network's folder, which may not be changed."""
    folder = tmp_path_factory.mktemp("edit") / "weights"
    save_pretrained(initialise(network_config()).eval(), folder)
    return folder


@pytest.fixture
def pictures(saved_weights: Path, tmp_path: Path) -> Path:
    """A folder with weights, s.png, m.png, r.png and other.png."""
    shutil.copytree(saved_weights, tmp_path / "weights")
    rng = np.random.default_rng(0)
    for name in ("s", "r", "other"):
        Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    mask = np.zeros((50, 70), np.uint8)
    mask[20:30, 20:40] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    return tmp_path


def run(*arguments: object) -> None:
    call_command(COMMANDS, list(map(str, arguments)))


def arguments_for(folder: Path, **changes: object) -> list[object]:
    options = {
        "weights": folder / "weights",
        "source": folder / "s.png",
        "mask": folder / "m.png",
        "reference": folder / "r.png",
        "output": folder / "e.png",
        "num_inference_steps": 2,
    }
    return [word for name, value in (options | changes).items() if value is not None for word in (f"--{name}", value)]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def ended(capsys, *arguments: object) -> tuple[int, list[str]]:
    """The command's exit status, and the lines that it says of errors."""
    try:
        run(*arguments)
    except UserError as error:
        with pytest.raises(SystemExit) as end:
            end_with_error(error)
        lines = capsys.readouterr().err.splitlines()
        return end.value.code, [line for line in lines if not line.startswith("loading ")]
    return 0, []


def write_batch(folder: Path, *rows: dict) -> Path:
    plain = {"source": "s.png", "mask": "m.png", "reference": "r.png"}
    plain |= dict.fromkeys(("seed", "keep_shape", "reference_box", "reference_mask"), "")
    with (folder / "edits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*plain, "output"])
        writer.writeheader()
        writer.writerows({**plain, **row} for row in rows)
    return folder / "edits.csv"


def saved(folder: Path, picture: Image.Image | np.ndarray, **options: object) -> Path:
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(folder / "odd.png", **options)
    return folder / "odd.png"
