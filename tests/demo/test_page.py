from __future__ import annotations

from dataclasses import replace

import pytest

from mimicbrush.demo.page import ABOUT_SHIPPED_WEIGHTS, build_page
from mimicbrush.model.weights.build import load_network
from mimicbrush.requests import ReferenceRequest


@pytest.mark.parametrize(("named", "is_told"), [("asset:tiny", True), ("runs/mine", False)])
def test_the_shipped_weights_and_no_others_are_called_small(studio, config, workspace, named, is_told):
    page = build_page({ReferenceRequest: studio}, replace(config, weights=named), workspace)
    texts = [block["props"].get("value") for block in page.get_config_file()["components"]]
    assert (ABOUT_SHIPPED_WEIGHTS in texts) == is_told


def test_what_is_told_of_the_shipped_weights_is_so():
    size = load_network("asset:tiny").size
    assert f"{size} x {size} pixels" in ABOUT_SHIPPED_WEIGHTS
