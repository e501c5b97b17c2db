"""A pipeline over the tiny network, and a short edit with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.pipeline import MimicBrushPipeline

MASK = np.zeros((60, 80), np.uint8)
MASK[20:30, 30:45] = 255


def random_picture(mode: str = "RGB", *, height: int = 60, width: int = 80, seed: int = 0) -> Image.Image:
    channels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(channels).convert(mode) if mode != "RGBA" else Image.fromarray(channels)


def edit(pipe, **changes):
    arguments = {
        "image": random_picture(),
        "mask_image": Image.fromarray(MASK),
        "reference_image": random_picture(seed=1),
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "pt",
    }
    return pipe(**arguments | changes).images


@pytest.fixture
def pipe(network) -> MimicBrushPipeline:
    pipe = MimicBrushPipeline.from_network(network)
    pipe.set_progress_bar_config(disable=True)
    return pipe
