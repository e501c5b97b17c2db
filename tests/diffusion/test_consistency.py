"""Levels, teacher's steps and student of consistency distillation, where the answer is known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.consistency import ConsistencyLevels
from mimicbrush.diffusion.schedulers import make_scheduler

LEVELS = torch.tensor([0, 7, 25, 49])
BOTH = pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])


def drawn(num: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 4, 3, 3, generator=generator), torch.randn(num, 4, 3, 3, generator=generator)


def exact(levels: ConsistencyLevels, latent: Tensor, noisy: Tensor, level: Tensor) -> Tensor:
    """The prediction of a network that knows the only latent there is."""
    alpha = levels.step_from(level).alpha
    noise = (noisy - alpha**0.5 * latent) / (1 - alpha) ** 0.5
    is_noise = levels.prediction_type == "epsilon"
    return noise if is_noise else alpha**0.5 * noise - (1 - alpha) ** 0.5 * latent


@BOTH
def test_at_timestep_zero_the_student_is_the_identity(prediction_type):
    noisy, prediction = drawn()
    found = ConsistencyLevels(prediction_type).original(prediction, noisy, torch.zeros(4, dtype=torch.long))
    assert torch.equal(found, noisy)


def test_levels_are_those_that_the_sampler_visits():
    levels = ConsistencyLevels("epsilon")
    assert levels.timesteps.tolist() == list(range(19, 1000, 20))
    assert levels.previous_timesteps.tolist() == [0, *range(19, 980, 20)]
    sampler = make_scheduler(name="LCMScheduler")
    sampler.set_timesteps(4)
    assert sampler.timesteps.tolist() == [999, 759, 499, 259]
    assert set(sampler.timesteps.tolist()) <= set(levels.timesteps.tolist())


@BOTH
def test_a_step_stays_on_the_path_of_an_exact_teacher(prediction_type):
    """With one possible latent, every noisy latent of a path is the same mixture of that latent and one noise."""
    (latent, noise), levels = drawn(), ConsistencyLevels(prediction_type)
    noisy = levels.step_from(LEVELS).add_noise(latent, noise)
    solved = levels.solve(exact(levels, latent, noisy, LEVELS), noisy, LEVELS)
    alphas = levels.scheduler.alphas_cumprod[levels.previous_timesteps[LEVELS]].view(-1, 1, 1, 1)
    torch.testing.assert_close(solved, alphas**0.5 * latent + (1 - alphas) ** 0.5 * noise, rtol=0, atol=1e-5)


@BOTH
def test_it_is_the_step_of_diffusers_ddim(prediction_type):
    (noisy, prediction), levels = drawn(1), ConsistencyLevels(prediction_type)
    ddim = make_scheduler(prediction_type)
    ddim.set_timesteps(50)
    expected = ddim.step(prediction, 499, noisy).prev_sample
    torch.testing.assert_close(levels.solve(prediction, noisy, torch.tensor([24])), expected, rtol=0, atol=1e-5)


@BOTH
def test_an_exact_student_ends_at_the_latent_from_every_level(prediction_type):
    (latent, noise), levels = drawn(), ConsistencyLevels(prediction_type)
    noisy = levels.step_from(LEVELS).add_noise(latent, noise)
    found = levels.original(exact(levels, latent, noisy, LEVELS), noisy, levels.timesteps[LEVELS])
    # c_skip of the least noisy level lets 0.25 / (190**2 + 0.25) of the noisy latent through.
    torch.testing.assert_close(found, latent, rtol=0, atol=1e-4)


def test_noise_and_velocity_mean_the_same():
    noisy, prediction = drawn()
    both = [ConsistencyLevels(kind) for kind in ("epsilon", "v_prediction")]
    alpha = both[0].step_from(LEVELS).alpha
    latent = (noisy - (1 - alpha) ** 0.5 * prediction) / alpha**0.5
    velocity = alpha**0.5 * prediction - (1 - alpha) ** 0.5 * latent
    for one, other in (
        [each.solve(value, noisy, LEVELS) for each, value in zip(both, (prediction, velocity), strict=True)],
        [
            each.original(value, noisy, each.timesteps[LEVELS])
            for each, value in zip(both, (prediction, velocity), strict=True)
        ],
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@BOTH
def test_diffusers_sampler_takes_the_same_original(prediction_type):
    """The student is trained as LCMScheduler uses it."""
    (noisy, prediction), levels = drawn(1), ConsistencyLevels(prediction_type)
    sampler = make_scheduler(prediction_type, "LCMScheduler")
    sampler.set_timesteps(4)
    denoised = sampler.step(prediction, sampler.timesteps[2], noisy).denoised
    torch.testing.assert_close(levels.original(prediction, noisy, sampler.timesteps[2:3]), denoised)
