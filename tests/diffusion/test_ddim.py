"""DDIM against diffusers, and inversion against a denoiser that is exact."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from torch import Tensor

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import ddim_steps, ddim_timesteps, invert, noise_of, signal_shares
from mimicbrush.errors import UserError

OPTIONS = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}


def predict_noise(latent: Tensor, timestep: int) -> Tensor:
    return torch.tanh(latent * 0.7 + timestep / 1000)


@pytest.fixture
def latent() -> Tensor:
    return torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("beta_schedule", ["scaled_linear", "linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_steps_equal_those_of_diffusers(latent, beta_schedule, prediction_type):
    config = ScheduleConfig(beta_schedule=beta_schedule, prediction_type=prediction_type)
    scheduler = DDIMScheduler(**config.as_options(), **OPTIONS)
    scheduler.set_timesteps(5)
    ours = theirs = latent
    for step, timestep in zip(ddim_steps(config, 5), scheduler.timesteps.tolist(), strict=True):
        assert step.timestep == timestep
        noise = noise_of(predict_noise(ours, timestep), ours, step.alpha, prediction_type)
        ours = step.denoise(ours, noise, torch.zeros_like(ours))
        theirs = scheduler.step(predict_noise(theirs, timestep), timestep, theirs).prev_sample
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_inversion_equals_that_of_diffusers_noisiest_first(latent):
    config = ScheduleConfig()
    scheduler = DDIMInverseScheduler(**config.as_options(), **OPTIONS)
    scheduler.set_timesteps(5)
    theirs, expected = latent, []
    for timestep in scheduler.timesteps.tolist():
        theirs = scheduler.step(predict_noise(theirs, timestep), timestep, theirs).prev_sample
        expected.append(theirs)
    found = invert(latent, predict_noise, ddim_steps(config, 5))
    torch.testing.assert_close(found, torch.stack(expected[::-1]), rtol=1e-4, atol=1e-4)


def test_sampling_leads_back_to_the_inverted_latent(latent):
    """With a noise that does not depend on the latent, the way back is exact."""
    steps = ddim_steps(ScheduleConfig(), 7)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1))
    back = invert(latent, lambda *_: noise, steps)[0]
    for step in steps:
        back = step.denoise(back, noise, torch.zeros_like(back))
    torch.testing.assert_close(back, latent, rtol=1e-4, atol=1e-4)


def test_refinements_bring_the_way_back_nearer_to_the_latent(latent):
    """The noise depends on the latent, so that the plain inversion is not exact."""
    steps, distances = ddim_steps(ScheduleConfig(), 7), []
    for refinements in (0, 1, 8):
        back = invert(latent, predict_noise, steps, refinements=refinements)[0]
        for step in steps:
            back = step.denoise(back, predict_noise(back, step.timestep), torch.zeros_like(back))
        distances.append((back - latent).abs().max().item())
    assert distances[2] < 0.1 * distances[1] < 0.1 * distances[0]


def test_renoising_returns_to_the_variance_of_the_noisier_level():
    step = ddim_steps(ScheduleConfig(), 4)[1]
    generator = torch.Generator().manual_seed(0)
    latent = (1 - step.previous_alpha) ** 0.5 * torch.randn(100_000, generator=generator)
    noisier = step.renoise(latent, torch.randn(100_000, generator=generator))
    assert noisier.var().item() == pytest.approx(1 - step.alpha, rel=0.02)


def test_even_spacing_takes_exactly_the_steps_asked_for():
    config = ScheduleConfig()
    assert ddim_timesteps(config, 6) == [1, 167, 334, 501, 667, 834]
    assert ddim_timesteps(config, 6, spacing="released") == [1, 167, 333, 499, 665, 831, 997]
    for count in (1, 4, 50, 500):
        assert ddim_timesteps(config, count) == ddim_timesteps(config, count, spacing="released")
    assert ddim_timesteps(config, 999)[-1] == 999


@pytest.mark.parametrize(("count", "spacing"), [(0, "even"), (1000, "even"), (700, "released")])
def test_steps_beyond_the_last_level_are_refused(count, spacing):
    with pytest.raises(UserError, match=f"num_inference_steps is {count}"):
        ddim_timesteps(ScheduleConfig(), count, spacing=spacing)


def test_the_signal_falls_from_almost_all_to_almost_nothing():
    for beta_schedule in ("scaled_linear", "linear", "squaredcos_cap_v2"):
        shares = signal_shares(ScheduleConfig(beta_schedule=beta_schedule, beta_end=0.02))
        assert len(shares) == 1000
        assert shares == sorted(shares, reverse=True)
        assert shares[0] > 0.99 and shares[-1] < 0.01


def test_schedules_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match=r"beta_start and beta_end are 0.5 and 0.1, expected 0 < start <= end < 1"):
        ScheduleConfig(beta_start=0.5, beta_end=0.1)
    with pytest.raises(UserError, match="beta_schedule is sigmoid, expected one of scaled_linear"):
        ScheduleConfig(beta_schedule="sigmoid")
