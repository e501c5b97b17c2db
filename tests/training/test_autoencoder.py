import functools
import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from diffusers import AutoencoderKL
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.parts import load_part
from mimicbrush.pictures.geometry import letterbox
from mimicbrush.pictures.reading import read_image
from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS
from mimicbrush.training.autoencoder.__main__ import COMMAND
from mimicbrush.training.autoencoder.config import AutoencoderConfig, HeldoutPictures
from mimicbrush.training.autoencoder.reconstruction import (
    Squares,
    measure_reconstruction,
    read_squares,
    reconstruction_psnr,
)
from mimicbrush.training.autoencoder.training import _loss as compute_loss
from mimicbrush.training.autoencoder.training import train_autoencoder
from mimicbrush.training.preconditions import check_autoencoder
from tests.conftest import AUTOENCODER, REPOSITORY

ASSET = REPOSITORY / "mimicbrush" / "assets" / "tiny" / "vae"
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
    names = [each.file for each in SKIMAGE_PHOTOGRAPHS.values() if each.is_held_out]
    images = squares([folder / name for name in names])
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


def test_objects_are_measured_apart():
    class Darker(torch.nn.Module):
        """An autoencoder whose left half is 51 of 255 grey levels darker, and whose right half is exact."""

        def encode(self, images):
            return type("Output", (), {"latent_dist": type("Posterior", (), {"mode": lambda _: images})()})

        def decode(self, latents):
            darker = torch.zeros_like(latents)
            darker[..., :4] = 0.4
            return type("Output", (), {"sample": latents - darker})

    objects = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    objects[0, :, :, :4] = True
    measured = measure_reconstruction(Darker(), Squares(torch.full((2, 3, 8, 8), 0.6), objects))
    assert measured["psnr_db"] == pytest.approx(13.98 + 3.01, abs=0.01)
    assert measured["psnr_inside_objects_db"] == pytest.approx(13.98, abs=0.01)


def config_of(shards: dict[str, Path], output: Path, **changed) -> AutoencoderConfig:
    fields = {
        "sources": [SourceConfig(shards=shards["videos"], weight=0.5), SourceConfig(shards=shards["stills"], weight=1)],
        "heldout": {"stills": HeldoutPictures(folder=shards["stills"], size=32)},
        "arguments": AUTOENCODER,
        "crop": 16,
        "batch_size": 2,
        "max_steps": 50,
        "precision": "float32",
    }
    return AutoencoderConfig(output=output, **fields | changed)


def test_fifty_steps_give_the_same_bytes_even_if_interrupted(shards, tmp_path, monkeypatch):
    train_autoencoder(config_of(shards, tmp_path / "first"))
    interrupted = config_of(shards, tmp_path / "second", checkpoint_every=20)
    with monkeypatch.context() as patch:
        patch.setattr("mimicbrush.training.autoencoder.training.save", lambda *parts: pytest.fail("not finished"))
        patch.setattr("mimicbrush.training.autoencoder.training._loss", stop_after(30))
        with pytest.raises(KeyboardInterrupt):
            train_autoencoder(interrupted)
    train_autoencoder(interrupted)
    first, second = ((tmp_path / name / "diffusion_pytorch_model.safetensors") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    card = json.loads((tmp_path / "second" / "card.json").read_text())
    assert card["stills"]["pictures"] == 16
    assert np.isfinite(card["stills"]["psnr_inside_objects_db"])


def stop_after(steps: int):
    def loss(autoencoder, crops, step, config):
        if step == steps:
            raise KeyboardInterrupt
        return compute_loss(autoencoder, crops, step, config)

    return loss


def test_the_command_continues_from_an_earlier_autoencoder(shards, tmp_path):
    call = functools.partial(call_command, COMMAND)
    for name, start in (("first", None), ("second", str(tmp_path / "first"))):
        config = config_of(shards, tmp_path / name, max_steps=3, start=start, precision="bfloat16")
        (tmp_path / "config.yaml").write_text(dump_config(config))
        call(["--config", str(tmp_path / "config.yaml")])
        assert str(tmp_path) not in (tmp_path / name / "config.json").read_text()
    assert np.isfinite(json.loads((tmp_path / "second" / "card.json").read_text())["stills"]["psnr_db"])


def test_held_out_pictures_may_be_files(tmp_path):
    Image.new("RGB", (20, 10), (255, 0, 0)).save(tmp_path / "picture.png")
    squares = read_squares(HeldoutPictures(folder=tmp_path, size=16))
    assert squares.pictures.shape == (1, 3, 16, 16)
    assert not squares.objects.any()
    (tmp_path / "picture.png").unlink()
    with pytest.raises(UserError, match="no shards and no pictures"):
        read_squares(HeldoutPictures(folder=tmp_path))


def test_missing_folders_are_named_before_training(shards, tmp_path):
    config = config_of(shards, tmp_path / "run", heldout={"none": HeldoutPictures(folder=tmp_path / "none")})
    with pytest.raises(UserError, match="none: no such folder"):
        check_autoencoder(config)


def test_the_shipped_config_parses():
    assert (
        load_config(AutoencoderConfig, REPOSITORY / "configs" / "train" / "autoencoder.yaml").heldout["world"].size
        == 64
    )


def test_a_start_without_weights_is_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.png")
    with pytest.raises(UserError, match="autoencoder"):
        load_part("autoencoder", PartConfig(pretrained=str(tmp_path)), AutoencoderKL)
