"""The tiny network and the tiny shards that tests share.

Functions here import torch inside: with `pytest -n`, the main process, which only distributes the tests, imports this
file before it starts the workers.
"""

from __future__ import annotations

import copy
import gc
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mimicbrush.model.config import NetworkConfig, PartConfig

if TYPE_CHECKING:
    from transformers import DepthAnythingForDepthEstimation

    from mimicbrush.data.shards import FramePair
    from mimicbrush.model.network import MimicBrushNetwork

# Tensors here are tiny: threads would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZE = 32

UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [8, 16],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
ONE_BLOCK = UNET | {
    "block_out_channels": [8],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
}
"""Trained and compiled in half the time; its mid block and its up block see the reference."""
AUTOENCODER = {
    "block_out_channels": [8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": SIZE,
}
IMAGE_ENCODER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": 8,
}


DEPTH = {
    "backbone_config": {
        "model_type": "dinov2",
        "hidden_size": 8,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        "out_indices": [1, 2, 3, 4],
        "reshape_hidden_states": False,
        "apply_layernorm": True,
    },
    "reassemble_hidden_size": 8,
    "neck_hidden_sizes": [4, 4, 4, 4],
    "fusion_hidden_size": 4,
    "head_hidden_size": 4,
}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Exclude the half a million objects that libraries create at import from garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def depth_model(image_size: int = 28) -> DepthAnythingForDepthEstimation:
    """Write a tiny Depth Anything with random weights for pictures of this size."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    backbone = DEPTH["backbone_config"] | {"image_size": image_size}
    return DepthAnythingForDepthEstimation(DepthAnythingConfig(**DEPTH | {"backbone_config": backbone})).eval()


def network_config(**changes) -> NetworkConfig:
    """Config of a network so small that a test takes milliseconds."""
    fields = {
        "size": SIZE,
        "reference_unet": PartConfig(arguments=UNET),
        "autoencoder": PartConfig(arguments=AUTOENCODER),
        "image_encoder": PartConfig(arguments=IMAGE_ENCODER),
        "shape_channels": (4, 4, 8),
    }
    return NetworkConfig(**fields | changes)


def one_block_config(**changes) -> NetworkConfig:
    """The same network with a single block in each half of its U-Nets, for what does not depend on their depth."""
    return network_config(**{"reference_unet": PartConfig(arguments=ONE_BLOCK)} | changes)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """The installed Chromium, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def untouched_network() -> MimicBrushNetwork:
    """The tiny network, drawn once; whoever changes it takes a copy."""
    from mimicbrush.model.weights.build import initialise

    return initialise(network_config()).eval()


@pytest.fixture
def network(untouched_network: MimicBrushNetwork) -> MimicBrushNetwork:
    return copy.deepcopy(untouched_network)


def encoded_image(rng: np.random.Generator, size: int = 40) -> bytes:
    """A JPEG of smooth random colours."""
    coarse = Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)).resize((size, size), Image.BICUBIC)
    buffer = io.BytesIO()
    coarse.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def encoded_mask(size: int = 40) -> bytes:
    """A PNG of a mask whose upper left quarter is the object."""
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[: size // 2, : size // 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def make_pairs(num: int, *, seed: int = 0, stills: bool = False, num_groups: int = 4) -> list[FramePair]:
    """Make pairs of random pictures; a still has an object mask instead of a reference."""
    from mimicbrush.data.shards import FramePair

    rng = np.random.default_rng(seed)
    return [
        FramePair(
            key=f"pair{seed}-{number}",
            source=encoded_image(rng),
            reference=None if stills else encoded_image(rng),
            similarity=None if stills else 0.5,
            keypoints=[] if stills else [(0.1, 0.2, 0.3, 0.4), (0.9, 0.9, 0.8, 0.8)],
            masks=[encoded_mask()] if stills else [],
            origin={"group": f"group{number % num_groups}"},
        )
        for number in range(num)
    ]


def make_shards(folder: Path) -> dict[str, Path]:
    """Write shards to `folder`, and return their folders: videos, stills, heldout."""
    from mimicbrush.data.shards import write_shard

    folders = {}
    for seed, (name, stills) in enumerate({"videos": False, "stills": True, "heldout": False}.items()):
        folders[name] = folder / name
        for number in range(2):
            pairs = make_pairs(8, seed=10 * seed + number, stills=stills)
            write_shard(folders[name] / f"{name}-{number:06d}.tar", pairs, {})
    return folders


@pytest.fixture(scope="session")
def finished_shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Shards of `make_shards`, made once for all tests: they only read them."""
    return make_shards(tmp_path_factory.mktemp("finished") / "shards")


@pytest.fixture
def shards(finished_shards: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """A copy of the shards for this test alone."""
    return {name: Path(shutil.copytree(made, tmp_path / "shards" / name)) for name, made in finished_shards.items()}


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no charts, which takes longer than the training of a short run."""
    monkeypatch.setattr("mimicbrush.training.records.draw_training", lambda rows, path: None)
    monkeypatch.setattr("mimicbrush.training.previews.draw_reference_use", lambda rows, path: None)


def make_checkout(folder: Path) -> Path:
    """Make a folder that looks like the project after `make`, with this interpreter in its .venv."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/bash\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in ("data_prep", "mimicbrush", "configs", "slurm", "train.py", "evaluate.py"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")
