from __future__ import annotations

from dataclasses import replace

import pytest

from mimicbrush.demo.config import Limits
from mimicbrush.demo.page import ABOUT_SHIPPED_WEIGHTS, build_page
from mimicbrush.demo.studio import Studio
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.build import load_network
from mimicbrush.requests import ReferenceRequest


@pytest.mark.parametrize(("named", "is_told"), [("asset:tiny", True), ("runs/mine", False)])
def test_the_shipped_weights_and_no_others_are_called_small(studio, config, workspace, named, is_told):
    page = build_page({ReferenceRequest: studio}, replace(config, weights=named), workspace)
    texts = [block["props"].get("value") for block in page.get_config_file()["components"]]
    assert (ABOUT_SHIPPED_WEIGHTS in texts) == is_told


@pytest.mark.parametrize(
    ("recommended", "given", "proposed"),
    [
        ((7, 2.5), {}, {"Steps": 7, "Guidance": 2.5}),
        ((50, 0.5), {"limits": Limits(steps=30)}, {"Steps": 30, "Guidance": 1}),  # within what visitors may choose
        ((7, 2.5), {"num_inference_steps": 3, "guidance_scale": 4.0}, {"Steps": 3, "Guidance": 4.0}),
    ],
)
def test_it_proposes_what_the_weights_recommend(studio, config, workspace, monkeypatch, recommended, given, proposed):
    steps, guidance = recommended
    weights = RecommendedSettings(num_inference_steps=steps, guidance_scale=guidance)
    monkeypatch.setattr(Studio, "recommended", weights)
    page = build_page({ReferenceRequest: studio}, replace(config, **given), workspace)
    sliders = {
        block["props"]["label"]: block["props"]["value"]
        for block in page.get_config_file()["components"]
        if block["type"] == "slider"
    }
    assert {name: sliders[name] for name in proposed} == proposed


def test_what_is_told_of_the_shipped_weights_is_so():
    size = load_network("asset:tiny").size
    assert f"{size} x {size} pixels" in ABOUT_SHIPPED_WEIGHTS
