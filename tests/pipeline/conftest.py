"""A pipeline over the tiny network, and a short edit with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.pipeline import MimicBrushPipeline
from tests.conftest import make_shards, one_block_config
from tests.training.test_trainable import adapter_config
from tests.training.test_training import fit

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


@pytest.fixture(scope="session")
def lora_folder(tmp_path_factory) -> Path:
    """A folder with base (exported), run (adapters trained on it), lora.safetensors, and pictures."""
    folder = tmp_path_factory.mktemp("lora")
    shards = make_shards(folder / "shards")
    save_pretrained(initialise(one_block_config(), seed=5).eval(), folder / "base")
    settings = adapter_config(shards, folder / "run", one_block_config(weights=str(folder / "base")), ema_decay=0.5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        fit(settings, folder, monkeypatch)
    export_lora(str(folder / "run"), folder / "lora.safetensors")
    rng = np.random.default_rng(0)
    for name in ("s", "r"):
        Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    mask = np.zeros((50, 70), np.uint8)
    mask[10:40, 10:50] = 255
    Image.fromarray(mask).save(folder / "m.png")
    return folder
