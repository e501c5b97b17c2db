"""The shipped weights asset:tiny: their data, their size, and that they imitate."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.hub.locations import shipped
from mimicbrush.pipeline import MimicBrushPipeline

FOLDER = Path(shipped("asset:tiny"))


def rows() -> list[dict[str, str]]:
    with (FOLDER / "data.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_clips_and_subjects_are_held_out_whole():
    groups = {split: {row["group"] for row in rows() if row["split"] == split} for split in ("train", "heldout")}
    assert len(groups["train"]) == 24 and len(groups["heldout"]) == 7
    assert not groups["train"] & groups["heldout"]
    assert {row["split"] for row in rows()} == {"train", "heldout"}
    names = [row["file"] for row in rows()]
    assert len(set(names)) == len(names)


def test_every_file_has_a_licence_and_a_credit():
    assert {row["licence"] for row in rows()} == {"Apache-2.0", "MIT", "CC BY 3.0", "CC BY 4.0", "public domain"}
    assert all(row["credit"] for row in rows())


def test_weights_are_safetensors_of_at_most_12_megabytes():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".md", ".csv"}
    assert sum(path.stat().st_size for path in files) <= 12e6


@pytest.mark.parametrize("settings", [{"num_inference_steps": 10, "guidance_scale": 2.0}, {}], ids=["usual", "quick"])
def test_it_takes_colours_and_places_from_the_reference(settings):
    """Edit pictures unlike the training data: a white square is hidden; the reference has a red or a blue one there."""
    pipe = MimicBrushPipeline.from_pretrained("asset:tiny")
    pipe.set_progress_bar_config(disable=True)
    pipe.set_quick(not settings)
    source = np.full((64, 64, 3), 128, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[12:52, 12:52] = 255
    edited = {}
    for name, colour in {"red": (220, 30, 30), "blue": (30, 30, 220)}.items():
        reference = source.copy()
        reference[20:44, 20:44] = colour
        result = pipe(
            Image.fromarray(source),
            Image.fromarray(mask),
            Image.fromarray(reference),
            generator=torch.Generator().manual_seed(0),
            **settings,
        ).images[0]
        edited[name] = np.asarray(result).astype(float)
    inside = (slice(26, 38), slice(26, 38))
    red_less_blue = {name: (picture[..., 0] - picture[..., 2]) for name, picture in edited.items()}
    assert red_less_blue["red"][inside].mean() > 40
    assert red_less_blue["blue"][inside].mean() < -40
    for picture in edited.values():
        assert (picture[:6] == source[:6]).all()
