from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush import edit
from mimicbrush.errors import UserError
from mimicbrush.model.weights import initialise, save_pretrained
from tests.conftest import network_config


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with weights, s.png, m.png, r.png and other.png."""
    save_pretrained(initialise(network_config()).eval(), tmp_path / "weights")
    rng = np.random.default_rng(0)
    for name in ("s", "r", "other"):
        Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    mask = np.zeros((50, 70), np.uint8)
    mask[20:30, 20:40] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    return tmp_path


def run(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["edit", *map(str, arguments)])
    edit.main()


def arguments_for(folder: Path, **changes: object) -> list[object]:
    told = {
        "weights": folder / "weights",
        "source": folder / "s.png",
        "mask": folder / "m.png",
        "reference": folder / "r.png",
        "output": folder / "e.png",
        "num_inference_steps": 2,
    }
    return [word for name, value in (told | changes).items() if value is not None for word in (f"--{name}", value)]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_an_edit_is_replayed_from_its_picture_and_overridden(pictures, monkeypatch):
    run(monkeypatch, *arguments_for(pictures, seed=3, crop_to_mask="true", reference_box="[4, 4, 60, 44]"))
    run(monkeypatch, "--replay", pictures / "e.png", "--output", pictures / "again.png")
    run(monkeypatch, f"--replay={pictures / 'again.png'}", "--output", pictures / "other_seed.png", "--seed", 4)
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))
    assert not np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "other_seed.png"))


def test_each_of_several_results_is_replayed_alone(pictures, monkeypatch):
    run(
        monkeypatch,
        *arguments_for(pictures, num_images=2, reference=f"[{pictures / 'r.png'}, {pictures / 's.png'}]"),
        "--grid",
    )
    run(monkeypatch, "--replay", pictures / "e-2.png", "--output", pictures / "again.png")
    difference = pixels(pictures / "e-2.png").astype(int) - pixels(pictures / "again.png")
    assert np.abs(difference).max() <= 1
    assert Image.open(pictures / "e-grid.png").size == (3 * 396 + 12, 2 * 432 + 12)


def test_nothing_is_overwritten_without_force(pictures, monkeypatch):
    run(monkeypatch, *arguments_for(pictures))
    before = (pictures / "e.png").read_bytes()
    with pytest.raises(UserError, match=r"e\.png exists; choose another --output or pass --force"):
        run(monkeypatch, *arguments_for(pictures, seed=1))
    assert (pictures / "e.png").read_bytes() == before
    run(monkeypatch, *arguments_for(pictures, seed=1), "--force")
    assert (pictures / "e.png").read_bytes() != before


def write_batch(folder: Path, *rows: dict) -> Path:
    plain = {"source": "s.png", "mask": "m.png", "reference": "r.png", "seed": "", "keep_shape": ""}
    with (folder / "edits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*plain, "output"])
        writer.writeheader()
        writer.writerows({**plain, **row} for row in rows)
    return folder / "edits.csv"


def test_a_batch_skips_what_is_there_and_names_what_is_broken(pictures, monkeypatch, capsys):
    (pictures / "text.png").write_text("no picture")
    Image.open(pictures / "s.png").save(pictures / "done.png")
    before = (pictures / "done.png").read_bytes()
    batch = write_batch(
        pictures,
        {"output": "a.png", "seed": "5"},
        {"output": "b.png", "keep_shape": "true"},
        {"output": "c.png", "source": "text.png"},
        {"output": "done.png"},
    )
    common = {"source": None, "mask": None, "reference": None, "output": None, "batch": batch}
    run(monkeypatch, *arguments_for(pictures, **common))
    said = capsys.readouterr()
    assert "edited 2 of 3; 1 skipped" in said.out and "text.png: not a readable picture" in said.err
    assert (pictures / "done.png").read_bytes() == before
    run(monkeypatch, *arguments_for(pictures, seed=5))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "a.png"))
    with pytest.raises(UserError, match=r"nothing could be edited; the first: .*text\.png"):
        run(monkeypatch, *arguments_for(pictures, **common))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"output": "a.jpg"}, r"row 2: output is .*a\.jpg, expected a name ending in \.png"),
        ({"output": "a.png", "seed": "x"}, "row 2: invalid literal"),
        ({"output": "a.png", "keep_shape": "maybe"}, "row 2: keep_shape is maybe"),
    ],
)
def test_a_batch_is_read_before_anything_is_edited(pictures, monkeypatch, row, named):
    common = {"source": None, "mask": None, "reference": None, "output": None, "batch": write_batch(pictures, row)}
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **common))


def truncated(folder: Path) -> Path:
    (folder / "half.png").write_bytes((folder / "s.png").read_bytes()[:2000])
    return folder / "half.png"


def test_broken_files_and_missing_arguments_end_in_one_sentence(pictures, monkeypatch):
    (pictures / "text.png").write_text("no picture")
    for changes, named in (
        ({"source": truncated(pictures)}, r"half\.png: not a readable picture"),
        ({"mask": pictures / "text.png"}, r"text\.png: not a readable picture"),
        ({"reference": pictures / "absent.png"}, r"absent\.png: no such picture"),
        ({"mask": None, "output": None}, "mask, output not given"),
        ({"replay": pictures / "s.png"}, r"s\.png: holds no settings of an edit"),
        ({"weights": pictures}, r"expected a mimicbrush\.bin"),
        ({"batch": pictures / "edits.csv"}, "batch names sources"),
    ):
        with pytest.raises(UserError, match=named):
            run(monkeypatch, *arguments_for(pictures, **changes))
