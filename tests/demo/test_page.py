from __future__ import annotations

from dataclasses import replace

import pytest

from mimicbrush.demo.config import Limits
from mimicbrush.demo.page import ABOUT_SHIPPED_WEIGHTS, build_page
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.build import load_network
from mimicbrush.requests import ReferenceRequest


@pytest.mark.parametrize(("named", "is_noted"), [("asset:tiny", True), ("runs/mine", False)])
def test_only_the_shipped_weights_are_called_small(editor, config, folders, named, is_noted):
    page = build_page({ReferenceRequest: editor}, replace(config, weights=named), folders)
    texts = [block["props"].get("value") for block in page.get_config_file()["components"]]
    assert (ABOUT_SHIPPED_WEIGHTS in texts) == is_noted


@pytest.mark.parametrize(
    ("recommended", "given", "proposed"),
    [
        ((7, 2.5), {}, {"Steps": 7, "Guidance": 2.5}),
        ((50, 0.5), {"limits": Limits(steps=30)}, {"Steps": 30, "Guidance": 1}),  # within the bounds of the page
        ((7, 2.5), {"num_inference_steps": 3, "guidance_scale": 4.0}, {"Steps": 3, "Guidance": 4.0}),
    ],
)
def test_recommended_settings_are_initial_values(editor, config, folders, monkeypatch, recommended, given, proposed):
    steps, guidance = recommended
    weights = RecommendedSettings(num_inference_steps=steps, guidance_scale=guidance)
    monkeypatch.setattr(SharedEditor, "recommended", weights)
    page = build_page({ReferenceRequest: editor}, replace(config, **given), folders)
    sliders = {
        block["props"]["label"]: block["props"]["value"]
        for block in page.get_config_file()["components"]
        if block["type"] == "slider"
    }
    assert {name: sliders[name] for name in proposed} == proposed


def test_the_note_on_the_shipped_weights_is_true():
    size = load_network("asset:tiny").size
    assert f"{size} x {size} pixels" in ABOUT_SHIPPED_WEIGHTS
