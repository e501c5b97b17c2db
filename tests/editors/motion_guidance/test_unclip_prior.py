"""Stable unCLIP as the prior of a motion: what its U-Net receives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mimicbrush.diffusion.ddim import noise_of, signal_shares
from mimicbrush.editors.motion_guidance import MotionGuidanceEditor
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas
from mimicbrush.editors.motion_guidance.load_prior import load_prior
from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings
from mimicbrush.editors.motion_guidance.unclip_prior import UnclipPrior
from mimicbrush.hub.unclip_parts import embed_pictures, embed_prompts, image_condition, load_unclip
from mimicbrush.requests import MotionRequest
from tests.unclip_folder import EMBEDDING, write_unclip_folder

TIMESTEP = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_unclip_folder(tmp_path_factory.mktemp("unclip"))


@pytest.fixture(scope="module")
def prior(folder) -> UnclipPrior:
    return load_prior(str(folder))


def canvas(seed: int) -> MotionCanvas:
    source = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    return MotionCanvas(source, torch.ones(1, 1, 32, 32), torch.zeros(1, 2, 32, 32), source)


@torch.no_grad()
def test_the_unet_receives_the_prompt_and_the_sources_embedding(prior, folder):
    assert isinstance(prior, UnclipPrior) and prior.canvas_size == 32
    parts, latent = load_unclip(str(folder)), torch.randn(1, 4, 16, 16)
    generator = torch.Generator().manual_seed(0)
    present = image_condition(parts, embed_pictures(parts, canvas(1).source), generator=generator)

    def noise(prompt: str, classes: torch.Tensor) -> torch.Tensor:
        velocity = parts.unet(latent, TIMESTEP, embed_prompts(parts, [prompt]), class_labels=classes).sample
        return noise_of(velocity, latent, signal_shares(parts.schedule)[TIMESTEP], "v_prediction")

    plain = prior.condition(canvas(1), "red hat", guidance_scale=1.0)(latent, TIMESTEP)
    assert torch.allclose(plain, noise("red hat", present), atol=1e-5)
    absent = noise("", torch.zeros(1, 2 * EMBEDDING))
    expected = absent + 3 * (noise("red hat", present) - absent)
    assert torch.allclose(
        prior.condition(canvas(1), "red hat", guidance_scale=3.0)(latent, TIMESTEP), expected, atol=1e-5
    )
    # Without a prompt, the embedding alone guides.
    other = prior.condition(canvas(2), "", guidance_scale=3.0)(latent, TIMESTEP)
    assert not torch.allclose(other, prior.condition(canvas(1), "", guidance_scale=3.0)(latent, TIMESTEP), atol=1e-3)


def test_it_moves_an_object_from_end_to_end(prior):
    settings = MotionGuidanceSettings(num_inference_steps=2, num_recursions=1, flow_weight=0)
    flow = torch.zeros(1, 2, 32, 32)
    flow[:, 0, 8:16, 8:16] = 6
    request = MotionRequest(source=canvas(1).source, flow=flow, prompt="red hat")
    edited = MotionGuidanceEditor(prior, settings=settings).edit(request).frames
    assert edited.shape == (1, 3, 32, 32) and edited.isfinite().all()
    assert not torch.equal(edited, request.source)
