"""Edits that give no steps and no guidance take what the weights recommend, and their record holds the numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.edit import editing
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.edit.parsing import parse_without_subcommand
from mimicbrush.edit.record import KEY, find_other_settings, read_settings
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from tests.edit.conftest import BATCH, arguments_for, pixels, run, write_batch

OPEN = {"num_inference_steps": None}
"""Leave out the number of steps, which the other tests' commands pass."""


def recommend(folder: Path, num_inference_steps: int, guidance_scale: float) -> None:
    path = folder / "weights" / "model_index.json"
    recommended = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
    path.write_text(json.dumps({**json.loads(path.read_text()), "recommended": recommended}))


def test_the_weights_numbers_are_taken_recorded_and_replayed(pictures, monkeypatch):
    recommend(pictures, 3, 2.5)
    run(*arguments_for(pictures, **OPEN))
    given = {"num_inference_steps": 3, "guidance_scale": 2.5}
    assert {name: read_settings(pictures / "e.png")[name] for name in given} == given
    run(*arguments_for(pictures, output=pictures / "given.png", **given))
    recommend(pictures, 4, 5.0)
    run("--replay", pictures / "e.png", "--output", pictures / "again.png")
    for other in ("given.png", "again.png"):
        assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / other))


def test_a_finished_result_is_another_where_the_weights_recommend_other_numbers(pictures, monkeypatch, capsys):
    recommend(pictures, 3, 2.5)
    options = arguments_for(pictures, **BATCH, **OPEN, batch=write_batch(pictures, {"output": "a.png"}))
    run(*options)
    monkeypatch.setattr(editing, "load_pipeline", None)  # nothing is to be made from here on
    run(*options)
    run(*options, "--num_inference_steps", "3")
    recommend(pictures, 3, 4.0)
    with pytest.raises(UserError):
        run(*options)
    assert "(guidance_scale was 2.5, is 4.0)" in capsys.readouterr().err
    run(*options, "--guidance_scale", "2.5")


def test_numbers_left_to_weights_that_cannot_be_read_are_not_compared(pictures):
    recommend(pictures, 3, 2.5)
    arguments = arguments_for(pictures, **OPEN)
    run(*arguments)
    config = parse_without_subcommand(list(map(str, arguments)), ReferenceEditConfig)
    assert find_other_settings(config, None) is None
    other = RecommendedSettings(num_inference_steps=3, guidance_scale=4.0)
    assert find_other_settings(config, other) == "guidance_scale was 2.5, is 4.0"
    assert find_other_settings(replace(config, context=3.0), None) == "context was 2.0, is 3.0"


def test_a_picture_from_before_weights_recommended_anything_is_replayed_equally(pictures, monkeypatch):
    recommend(pictures, 3, 2.5)
    run(*arguments_for(pictures, seed=4, guidance_scale=5.0, crop_to_mask="true"))
    before = {"lora": None, "lora_scale": 1.0, "scheduler": None, "geometry": "exact", "use_ema": True}
    before |= {"device": "auto", "precision": "auto", "offload": "none", "vae_tiling": False}
    before |= {"reference_box": None, "reference_mask": None, "keep_shape": False, "crop_to_mask": True}
    before |= {"regions": "together", "context": 2.0, "match_colour": False}
    before |= {"num_inference_steps": 2, "guidance_scale": 5.0, "num_images": 1, "seed": 4, "grid": False}
    paths = {"weights": "weights", "source": "s.png", "mask": "m.png", "reference": "r.png"}
    note = PngInfo()
    note.add_text(KEY, json.dumps(before | {name: str(pictures / path) for name, path in paths.items()}))
    Image.open(pictures / "e.png").save(pictures / "old.png", pnginfo=note)
    run("--replay", pictures / "old.png", "--output", pictures / "again.png")
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))
