from __future__ import annotations

import pytest

from mimicbrush.demo.config import DemoConfig


@pytest.mark.parametrize(
    ("given", "proposed"),
    [({}, 2.0), ({"weights": "runs/mine"}, 5.0), ({"weights": "runs/mine", "guidance_scale": 1.5}, 1.5)],
)
def test_guidance_fits_the_weights_unless_it_is_given(given, proposed):
    assert DemoConfig(**given).proposed_guidance == proposed
