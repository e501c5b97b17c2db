"""A tiny random Stable unCLIP in its real layout, and a moving square to edit with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.editors.genvideo.settings import GenVideoSettings, InvEditSettings, TuningSettings
from mimicbrush.hub.unclip_parts import UnclipParts, load_unclip
from mimicbrush.requests import VideoRequest
from tests.unclip_folder import write_unclip_folder

NUM_FRAMES = 4
QUICK = GenVideoSettings(
    resolution=32,
    num_inference_steps=2,
    feature_block=1,
    guidance_scale=2.0,
    poor_reconstruction=0.0,
    tuning=TuningSettings(num_steps=3, preview_every=2),
    invedit=InvEditSettings(guidance_scale=1.0, threshold=0.3),
)
"""Few steps at the size of the tiny network, whose up blocks are two."""

UNTUNED = replace(QUICK, tuning=TuningSettings(num_steps=0))
"""For tests of what follows the tuning."""


@pytest.fixture(scope="session")
def unclip_folder(tmp_path_factory) -> Path:
    return write_unclip_folder(tmp_path_factory.mktemp("unclip"))


@pytest.fixture(scope="session")
def parts(unclip_folder) -> UnclipParts:
    """Shared by all tests: whoever inflates the U-Net takes a copy."""
    return load_unclip(str(unclip_folder))


def moving_square(**changes: object) -> VideoRequest:
    """A red square that moves over grey; the target is a larger green one on white."""
    source = torch.full((NUM_FRAMES, 3, 32, 40), 0.4)
    for number, frame in enumerate(source):
        frame[0, 10:20, 6 + 4 * number : 16 + 4 * number] = 1
    target = torch.ones(3, 24, 24)
    target[0, 4:20, 4:20] = target[2, 4:20, 4:20] = 0
    fields = {"source": source, "source_prompt": "red", "target_prompt": "hat", "target_image": target, "fps": 8.0}
    return VideoRequest(**fields | changes)
