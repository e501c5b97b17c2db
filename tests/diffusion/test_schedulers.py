from __future__ import annotations

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mimicbrush.diffusion.schedulers import make_scheduler, predict_original, prediction_target, set_timesteps
from mimicbrush.errors import UserError


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_target_of_a_network_implies_the_original(prediction_type):
    scheduler = make_scheduler(prediction_type)
    latent, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    timestep = torch.tensor([437])
    noisy, target = scheduler.add_noise(latent, noise, timestep), prediction_target(scheduler, latent, noise, timestep)
    found = predict_original(scheduler, target, noisy, timestep[0], default=noise)
    torch.testing.assert_close(found, latent, rtol=1e-4, atol=1e-4)


def test_too_few_steps_are_refused():
    with pytest.raises(UserError, match=r"PNDMScheduler cannot sample in 2 steps .*take more"):
        set_timesteps(make_scheduler(name="PNDMScheduler"), 2)


@pytest.mark.parametrize("name", ["DDIM", "FlowMatchEulerDiscreteScheduler", "AutoencoderKL"])
def test_unknown_scheduler_is_refused_with_the_choice(name):
    with pytest.raises(UserError, match=rf"scheduler {name} .*choose from .*UniPCMultistepScheduler"):
        make_scheduler(name=name)


def test_a_scheduler_without_such_a_noise_schedule_returns_its_latents():
    latents, nothing = torch.rand(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    flow = FlowMatchEulerDiscreteScheduler()
    assert predict_original(flow, nothing, nothing, torch.tensor(500.0), default=latents) is latents
