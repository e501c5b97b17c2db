import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
import yaml
from diffusers import AutoencoderKL
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.config import load_config
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.parts import load_part
from mimicbrush.pictures.geometry import letterbox
from mimicbrush.pictures.reading import read_image
from mimicbrush.training.autoencoder.__main__ import COMMAND
from mimicbrush.training.autoencoder.config import AutoencoderConfig
from mimicbrush.training.autoencoder.training import reconstruction_psnr
from tests.conftest import AUTOENCODER, REPOSITORY

ASSET = REPOSITORY / "mimicbrush" / "assets" / "autoencoder"
BENCHMARK = REPOSITORY.parent / "shared" / "data" / "benchmark"


def shipped() -> AutoencoderKL:
    return load_part("autoencoder", PartConfig(pretrained="asset:autoencoder"), AutoencoderKL)


def squares(paths: list[Path]) -> torch.Tensor:
    return torch.stack([letterbox(read_image(path), 128, fill=1.0)[0] for path in paths])


def test_shipped_weights_are_small_and_half():
    weights = ASSET / "diffusion_pytorch_model.safetensors"
    assert weights.stat().st_size <= 2 * 2**20
    assert shipped().dtype == torch.float32


def test_shipped_weights_reconstruct_photographs_they_never_saw():
    folder = Path(skimage.__file__).parent / "data"
    images = squares([folder / name for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")])
    assert reconstruction_psnr(shipped(), images) >= 25


def test_shipped_weights_reconstruct_unseen_subjects():
    if not BENCHMARK.is_dir():
        pytest.skip(f"no real material at {BENCHMARK}")
    paths = [path for part in ("source", "reference") for path in sorted(BENCHMARK.rglob(f"*_{part}.png"))]
    assert reconstruction_psnr(shipped(), squares(paths)) >= 25


def test_psnr_equals_the_hand_calculation():
    class Darker(torch.nn.Module):
        """An autoencoder whose pictures are 51 of 255 grey levels darker: 20 log10(5) dB."""

        def encode(self, images):
            self.images = images
            return type("Output", (), {"latent_dist": type("Posterior", (), {"mode": lambda _: images})()})

        def decode(self, latents):
            return type("Output", (), {"sample": latents - 0.4})

    assert reconstruction_psnr(Darker(), torch.full((2, 3, 8, 8), 0.6)) == pytest.approx(13.98, abs=0.01)


def test_the_command_trains_saves_and_continues(shards, tmp_path, monkeypatch):
    config = {
        "shards": [str(shards["videos"])],
        "heldout": str(shards["heldout"]),
        "arguments": AUTOENCODER,
        "crop": 16,
        "judged_size": 32,
        "batch_size": 2,
        "max_steps": 3,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    for name, start in (("first", []), ("second", ["--start", str(tmp_path / "first")])):
        arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / name), *start]
        call_command(COMMAND, arguments)
        assert np.isfinite(json.loads((tmp_path / name / "card.json").read_text())["reconstruction_psnr_db"])
        assert str(tmp_path) not in (tmp_path / name / "config.json").read_text()


def test_the_shipped_config_parses_once_its_folders_are_given(tmp_path):
    path = tmp_path / "autoencoder.yaml"
    shipped_config = yaml.safe_load((REPOSITORY / "configs" / "train" / "autoencoder.yaml").read_text())
    path.write_text(yaml.safe_dump(shipped_config | {"output": "x", "shards": ["y"], "heldout": "z"}))
    assert load_config(AutoencoderConfig, path).max_steps == 3000


def test_a_start_without_weights_is_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.png")
    with pytest.raises(UserError, match="autoencoder"):
        load_part("autoencoder", PartConfig(pretrained=str(tmp_path)), AutoencoderKL)
