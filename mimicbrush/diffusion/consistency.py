"""Latent consistency models (arXiv 2310.04378): noise levels, the teacher's steps, and the student's original.

A student f maps every noisy latent of one path to the latent without noise at its end: f = c_skip x + c_out x0, where
x0 is the original that its prediction implies. At timestep 0, c_skip is 1 and c_out is 0: there f is the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.config import CONSISTENCY_SAMPLER, PredictionType
from mimicbrush.diffusion.ddim import DdimStep, noise_of
from mimicbrush.diffusion.schedulers import make_scheduler, set_timesteps


class ConsistencyLevels:
    """The noise levels on which a student is trained: 50 of 1000, from which diffusers' LCMScheduler chooses.

    Level 0 is the least noisy one. All latents are (B, C, h, w), all levels and timesteps (B,).
    """

    def __init__(self, prediction_type: PredictionType) -> None:
        self.prediction_type = prediction_type
        self.scheduler = make_scheduler(prediction_type, CONSISTENCY_SAMPLER)
        set_timesteps(self.scheduler, self.scheduler.config.original_inference_steps)
        self.timesteps = self.scheduler.timesteps.flip(0)
        """Timesteps of the levels, ascending."""
        self.previous_timesteps = torch.cat([self.timesteps.new_zeros(1), self.timesteps[:-1]])
        """Timesteps one level below each level; below level 0 it is timestep 0."""

    def __len__(self) -> int:
        return len(self.timesteps)

    def step_from(self, level: Tensor, num_levels: int = 1) -> DdimStep:
        """The deterministic DDIM step from these levels to those `num_levels` below, at the lowest timestep 0.

        Its timestep is (B,), its other numbers are (B, 1, 1, 1).
        """
        timestep, previous_timesteps = (each.to(level.device) for each in (self.timesteps, self.previous_timesteps))
        reached = previous_timesteps[(level + 1 - num_levels).clamp(min=0)]
        alpha, previous = self._alpha(timestep[level]), self._alpha(reached)
        return DdimStep(timestep[level], alpha, previous, torch.zeros_like(alpha))

    def solve(self, prediction: Tensor, noisy: Tensor, level: Tensor, num_levels: int = 1) -> Tensor:
        """Take the step of `step_from` with the teacher's prediction: the latents that many levels below."""
        step = self.step_from(level, num_levels)
        noise = noise_of(prediction, noisy, step.alpha, self.prediction_type)
        return step.denoise(noisy, noise, torch.zeros_like(noisy))

    def original(self, prediction: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
        """The student's latent without noise, f, from its prediction at these timesteps."""
        alpha = self._alpha(timestep)
        noise = noise_of(prediction, noisy, alpha, self.prediction_type)
        predicted = (noisy - (1 - alpha) ** 0.5 * noise) / alpha**0.5
        scalings = self.scheduler.get_scalings_for_boundary_condition_discrete(timestep.view(-1, 1, 1, 1))
        c_skip, c_out = (scaling.to(noisy) for scaling in scalings)
        return c_skip * noisy + c_out * predicted

    def _alpha(self, timestep: Tensor) -> Tensor:
        """Share of the signal in the variance, (B,) -> (B, 1, 1, 1)."""
        return self.scheduler.alphas_cumprod.to(timestep.device)[timestep].view(-1, 1, 1, 1)
