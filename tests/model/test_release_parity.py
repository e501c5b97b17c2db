"""Compare our network and pictures with numbers of the released code (`tests/assets/golden/README.md`).

MIMICBRUSH_GOLDEN names another folder of the same format; every size comes from its config.json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.model.conditioning import DepthShape
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import sample
from mimicbrush.model.weights.build import load_release
from mimicbrush.pictures.geometry import binarise, blacken
from mimicbrush.pictures.released_geometry import letterbox, paste_back, unletterbox
from tests.conftest import AUTOENCODER, depth_model

GOLDEN = Path(os.environ.get("MIMICBRUSH_GOLDEN", Path(__file__).parents[1] / "assets" / "golden"))
CONFIG = json.loads((GOLDEN / "config.json").read_text())
GOLDEN_TENSORS: dict[str, Tensor] = torch.load(GOLDEN / "golden.pt", weights_only=True)
PICTURES = sorted(GOLDEN.glob("prepost_*.npz"))
GREY_LEVEL = 1 / 255
TO_ONE_GREY_LEVEL = 1.001 * GREY_LEVEL

pictures = pytest.mark.parametrize("path", PICTURES, ids=[path.stem for path in PICTURES])


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.reshape(found.shape), rtol=0, atol=1e-4)


def golden_config() -> NetworkConfig:
    """Sizes of the golden folder; its autoencoder is not in it; only its stride, 8, is used."""
    blocks = {name: AUTOENCODER[name][:1] * 4 for name in ("down_block_types", "up_block_types", "block_out_channels")}
    return NetworkConfig(
        imitative_unet=PartConfig(arguments=CONFIG["unet"]),
        reference_unet=PartConfig(arguments=CONFIG["unet"] | {"in_channels": 4}),
        image_encoder=PartConfig(arguments=CONFIG["clip"]),
        autoencoder=PartConfig(arguments=AUTOENCODER | blocks),
    )


@pytest.fixture(scope="module")
def released() -> MimicBrushNetwork:
    return load_release(GOLDEN / "mimicbrush.bin", golden_config())


def golden_conditions() -> Conditions:
    return Conditions(
        mask=GOLDEN_TENSORS["mask"],
        background_latent=GOLDEN_TENSORS["masked_latent"],
        shape_latent=GOLDEN_TENSORS["depth_latent_in"],
        image_tokens=GOLDEN_TENSORS["image_tokens"],
        reference_latent=GOLDEN_TENSORS["reference_latent"],
    )


@torch.no_grad()
def test_depth_guider(released):
    assert_equal(released.shape_projector(GOLDEN_TENSORS["depth_in"]), GOLDEN_TENSORS["depth_latent"])


@torch.no_grad()
def test_image_states_and_tokens(released):
    states = released.image_encoder.encode_pixels(GOLDEN_TENSORS["clip_pixels"])
    assert_equal(states, GOLDEN_TENSORS["clip_hidden"])
    assert_equal(released.image_projector(states), GOLDEN_TENSORS["image_tokens"])
    assert_equal(released.image_encoder.absent(), GOLDEN_TENSORS["clip_hidden_uncond"])
    assert_equal(released.absent_tokens(), GOLDEN_TENSORS["image_tokens_uncond"])


def test_timesteps():
    scheduler = make_scheduler()
    scheduler.set_timesteps(CONFIG["steps"])
    assert scheduler.timesteps.tolist() == GOLDEN_TENSORS["timesteps"].tolist()


@pytest.mark.parametrize("grad", [False, True], ids=["sampling", "training"])
@pytest.mark.parametrize("step", range(CONFIG["steps"]))
def test_raw_prediction_of_both_rows(released, step, grad):
    """Test the attention of sampling, which merges two passes, and that of training, which joins tokens."""
    conditions, timestep = golden_conditions(), GOLDEN_TENSORS["timesteps"][step]
    latent = (
        GOLDEN_TENSORS["noise"]
        if step == 0
        else GOLDEN_TENSORS["latents"][step - 1].reshape(GOLDEN_TENSORS["noise"].shape)
    )
    both = Conditions(*(torch.cat([value, value]) for value in conditions))
    both = both._replace(image_tokens=torch.cat([conditions.image_tokens, GOLDEN_TENSORS["image_tokens_uncond"]]))
    with torch.set_grad_enabled(grad):
        features = released.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
        predicted = released.predict(torch.cat([latent, latent]), timestep, both, features).detach()
    assert_equal(torch.cat(predicted.chunk(2)[::-1]), GOLDEN_TENSORS["noise_pred_uncond_cond"][step])


def test_latents_after_each_step(released):
    latents = []
    sample(
        released,
        golden_conditions(),
        GOLDEN_TENSORS["noise"],
        scheduler=make_scheduler(),
        num_inference_steps=CONFIG["steps"],
        guidance_scale=CONFIG["guidance_scale"],
        on_step=lambda step, latent, _: latents.append(latent),
    )
    assert_equal(torch.stack(latents), GOLDEN_TENSORS["latents"])


def load_pictures(path: Path) -> dict[str, Tensor]:
    """Prepared pictures (1, C, H, W) in [0, 1]; the depth model's input (1, 3, S, S)."""
    with np.load(path) as arrays:
        content = {name: arrays[name] for name in arrays}
    depth_input = torch.from_numpy(content.pop("depth_input").astype(np.float32))[None]
    images = {
        name: torch.from_numpy(np.atleast_3d(array).astype(np.float32)).permute(2, 0, 1)[None] / 255
        for name, array in content.items()
    }
    return images | {"depth_input": depth_input}


@pictures
def test_preparation(path):
    expected = load_pictures(path)
    size = expected["padded_source"].shape[-1]
    source, _ = letterbox(expected["source"][0], size, fill=1.0)
    mask, _ = letterbox(expected["mask"][0], size, fill=0.0)
    assert (source - expected["padded_source"][0]).abs().max() <= TO_ONE_GREY_LEVEL
    assert torch.equal(binarise(mask), expected["padded_mask"][0])
    assert (blacken(source, binarise(mask)) - expected["masked_source"][0]).abs().max() <= TO_ONE_GREY_LEVEL


@pictures
def test_depth_input(path):
    """Compare the released double normalisation of the unmasked source, to one grey level of its input."""
    expected = load_pictures(path)
    depth = DepthShape(depth_model(image_size=expected["depth_input"].shape[-1]), "released")
    difference = (depth.normalise(expected["padded_source"]) - expected["depth_input"]).abs()
    smallest_std, half_precision = 0.224, 2**-9
    assert difference.max() <= TO_ONE_GREY_LEVEL / smallest_std + half_precision


@pictures
def test_paste_back(path):
    expected = load_pictures(path)
    source, mask = expected["source"], expected["mask"]
    edited = unletterbox(expected["prediction"], *source.shape[-2:])
    assert (paste_back(edited, source, mask) - expected["result"]).abs().max() <= TO_ONE_GREY_LEVEL
