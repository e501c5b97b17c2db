from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from mimicbrush.diffusion.schedulers import (
    like_scheduler,
    make_scheduler,
    predict_original,
    prediction_target,
    set_timesteps,
)
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
    with pytest.raises(UserError, match=r"PNDMScheduler cannot sample in 2 steps .*take another number"):
        set_timesteps(make_scheduler(name="PNDMScheduler"), 2)


@pytest.mark.parametrize("name", ["DDIM", "FlowMatchEulerDiscreteScheduler", "AutoencoderKL"])
def test_unknown_scheduler_is_refused_with_the_choice(name):
    with pytest.raises(UserError, match=rf"scheduler {name} .*choose from .*UniPCMultistepScheduler"):
        make_scheduler(name=name)


def test_a_scheduler_without_such_a_noise_schedule_returns_its_latents():
    latents, nothing = torch.rand(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    flow = FlowMatchEulerDiscreteScheduler()
    assert predict_original(flow, nothing, nothing, torch.tensor(500.0), default=latents) is latents


ZERO_SNR = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}


@pytest.mark.parametrize(
    "name",
    ["DDIMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "EulerDiscreteScheduler"],
)
@pytest.mark.parametrize("zero_snr", [False, True])
def test_a_sampler_like_another_ends_at_the_only_latent_there_is(name, zero_snr):
    base = make_scheduler("v_prediction")
    if zero_snr:
        base = DDIMScheduler.from_config(base.config, **ZERO_SNR)
    sampler = like_scheduler(base, name, timestep_spacing="trailing")
    assert (float(sampler.alphas_cumprod[-1]) < 1e-6) == zero_snr
    set_timesteps(sampler, 8)
    assert int(sampler.timesteps[0]) == 999
    generator = torch.Generator().manual_seed(0)
    latent, noise = torch.randn(2, 1, 4, 3, 3, generator=generator)
    noisy = noise * sampler.init_noise_sigma
    for timestep in sampler.timesteps:
        scaled = sampler.scale_model_input(noisy, timestep)
        a = base.alphas_cumprod[round(float(timestep))]
        known = (scaled - a**0.5 * latent) / (1 - a) ** 0.5
        noisy = sampler.step(a**0.5 * known - (1 - a) ** 0.5 * latent, timestep, noisy).prev_sample
    # The last step of DDIM ends at the first noise level, whose noise is small but not zero.
    torch.testing.assert_close(noisy, latent, rtol=0, atol=0.15)


def test_a_sampler_that_cannot_start_from_noise_alone_is_refused():
    base = DDIMScheduler.from_config(make_scheduler().config, **ZERO_SNR)
    with pytest.raises(UserError, match="scheduler DEISMultistepScheduler cannot start from noise alone"):
        like_scheduler(base, "DEISMultistepScheduler")
