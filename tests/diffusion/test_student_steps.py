"""Steps of a student and of its teacher, compared with diffusers and with a path that is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.student_steps import StudentSteps

BOTH = pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
NUMBERS = torch.arange(4)


def drawn(num: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 4, 3, 3, generator=generator), torch.randn(num, 4, 3, 3, generator=generator)


@BOTH
@pytest.mark.parametrize("num_steps", [4, 3])
def test_a_students_steps_are_those_of_the_sampler_that_edits_take(prediction_type, num_steps):
    steps, (noisy, prediction) = StudentSteps(prediction_type, num_steps), drawn(1)
    sampler = make_scheduler(prediction_type, timestep_spacing="trailing")
    sampler.set_timesteps(num_steps)
    for number, timestep in enumerate(sampler.timesteps):
        expected = sampler.step(prediction, timestep, noisy).prev_sample
        found = steps.take(prediction, noisy, *steps.part(torch.tensor([number]), 0, 1))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_teachers_steps_begin_and_end_with_the_students_and_meet_between():
    steps = StudentSteps("epsilon", 4)
    assert steps.timesteps.tolist() == [999, 749, 499, 249] and steps.ends.tolist() == [749, 499, 249, -1]
    starts, ends = zip(*(steps.part(NUMBERS, index, 3) for index in range(3)), strict=True)
    assert torch.equal(starts[0], steps.timesteps) and torch.equal(ends[2], steps.ends)
    assert torch.equal(starts[1], ends[0]) and torch.equal(starts[2], ends[1])
    lengths = torch.stack(starts) - torch.stack(ends)
    assert lengths.max() - lengths.min() <= 1


@BOTH
def test_an_exact_network_reaches_the_same_latent_in_one_step_and_in_several(prediction_type):
    """With one possible latent, every noisy latent of a path is the same mixture of that latent and one noise."""
    (latent, noise), steps = drawn(), StudentSteps(prediction_type, 4)

    def on_path(timestep: Tensor) -> Tensor:
        alpha = steps.alphas[timestep + 1].view(-1, 1, 1, 1)
        return alpha**0.5 * latent + (1 - alpha) ** 0.5 * noise

    def know(timestep: Tensor) -> Tensor:
        alpha = steps.alphas[timestep + 1].view(-1, 1, 1, 1)
        return noise if prediction_type == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * latent

    for num_parts in (1, 3):
        noisy = on_path(steps.timesteps)
        for index in range(num_parts):
            timestep, reached = steps.part(NUMBERS, index, num_parts)
            noisy = steps.take(know(timestep), noisy, timestep, reached)
        torch.testing.assert_close(noisy, on_path(steps.ends), rtol=0, atol=1e-4)
