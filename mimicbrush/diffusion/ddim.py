"""DDIM (Song et al. 2021, arXiv 2010.02502): noise levels, steps towards the picture, and back towards the noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import betas_for_alpha_bar
from torch import Tensor

from mimicbrush.diffusion.config import PredictionType, ScheduleConfig, Spacing
from mimicbrush.errors import UserError

PredictNoise = Callable[[Tensor, int], Tensor]
"""Receives noisy latents (B, C, h, w) and their timestep; returns the noise in them."""


class DdimStep(NamedTuple):
    """One step between two noise levels; `a` is the share of the signal in the variance, alpha with a bar.

    Where the rows of a batch are at different levels, its numbers are tensors that broadcast to the latents.
    """

    timestep: int
    """Timestep of the noisier level, for the network."""
    alpha: float
    """Share `a` at the noisier level."""
    previous_alpha: float
    """Share `a` at the level that the step leads to."""
    sigma: float
    """Standard deviation of the fresh noise that the step adds."""

    def add_noise(self, original: Tensor, noise: Tensor) -> Tensor:
        """Bring a latent without noise to the noisier level."""
        return self.alpha**0.5 * original + (1 - self.alpha) ** 0.5 * noise

    def original(self, noisy: Tensor, noise: Tensor) -> Tensor:
        """Estimate the latent without noise (DDIM, equation 9)."""
        return (noisy - (1 - self.alpha) ** 0.5 * noise) / self.alpha**0.5

    def denoise(self, noisy: Tensor, noise: Tensor, fresh: Tensor) -> Tensor:
        """Take the step, with predicted and fresh noise (DDIM, equation 12)."""
        direction = (1 - self.previous_alpha - self.sigma**2) ** 0.5 * noise
        return self.previous_alpha**0.5 * self.original(noisy, noise) + direction + self.sigma * fresh

    def renoise(self, latent: Tensor, fresh: Tensor) -> Tensor:
        """Return from the less noisy level to the noisier one by adding fresh noise."""
        ratio = self.alpha / self.previous_alpha
        return ratio**0.5 * latent + (1 - ratio) ** 0.5 * fresh

    def invert(self, latent: Tensor, noise: Tensor) -> Tensor:
        """Take the step backwards, from the less noisy level, with the noise predicted there."""
        original = (latent - (1 - self.previous_alpha) ** 0.5 * noise) / self.previous_alpha**0.5
        return self.add_noise(original, noise)


def signal_shares(schedule: ScheduleConfig) -> list[float]:
    """Share of the signal in the variance at each level, alpha with a bar, least noisy first."""
    start, end, count = schedule.beta_start, schedule.beta_end, schedule.num_train_timesteps
    match schedule.beta_schedule:
        case "scaled_linear":
            betas = np.linspace(start**0.5, end**0.5, count) ** 2
        case "linear":
            betas = np.linspace(start, end, count)
        case _:
            betas = betas_for_alpha_bar(count).double().numpy()
    # In float32, as the release stores them.
    return (1 - betas).cumprod().astype(np.float32).tolist()


def ddim_steps(
    schedule: ScheduleConfig, num_steps: int, *, spacing: Spacing = "even", eta: float = 0.0
) -> list[DdimStep]:
    """The steps from noise to a picture, noisiest first; eta: share of the noise that is fresh (DDIM, equation 16).

    Raises UserError where there are more steps than levels.
    """
    shares = signal_shares(schedule)
    timesteps = ddim_timesteps(schedule, num_steps, spacing=spacing)
    steps = []
    for number, timestep in enumerate(timesteps):
        # The last step leads to the first level rather than to no noise at all, as in Stable Diffusion.
        alpha, previous = shares[timestep], shares[timesteps[number - 1] if number else 0]
        sigma = eta * ((1 - previous) / (1 - alpha) * (1 - alpha / previous)) ** 0.5
        steps.append(DdimStep(timestep, alpha, previous, sigma))
    return steps[::-1]


def ddim_timesteps(schedule: ScheduleConfig, num_steps: int, *, spacing: Spacing = "even") -> list[int]:
    """Timesteps of the steps, least noisy first; all are one above a multiple, as in Stable Diffusion."""
    count = schedule.num_train_timesteps
    if not 1 <= num_steps < count:
        raise UserError(f"num_inference_steps is {num_steps}, expected 1 to {count - 1}")
    if spacing == "even":
        return [number * count // num_steps + 1 for number in range(num_steps)]
    timesteps = [number + 1 for number in range(0, count, count // num_steps)]
    if timesteps[-1] >= count:
        raise UserError(
            f"num_inference_steps is {num_steps}, which with the release's spacing reaches timestep {timesteps[-1]} of"
            f" {count}; take fewer steps, or the even spacing"
        )
    return timesteps


def noise_of(prediction: Tensor, noisy: Tensor, alpha: float | Tensor, prediction_type: PredictionType) -> Tensor:
    """The noise that a prediction means; alpha: as in `DdimStep`."""
    if prediction_type == "v_prediction":
        return alpha**0.5 * prediction + (1 - alpha) ** 0.5 * noisy
    return prediction


@torch.no_grad()
def invert(latent: Tensor, predict_noise: PredictNoise, steps: list[DdimStep], *, refinements: int = 0) -> Tensor:
    """Find the noisy latents that DDIM would lead to this latent: (B, C, h, w) -> (N, B, C, h, w), noisiest first.

    latent: without noise, taken for the first level; predict_noise: without guidance, which would not be invertible.
    The n-th result is the input of the n-th step. Each step uses the noise predicted at the latent before it, so the
    way back is not exact; more steps come closer. So does each refinement, which predicts the noise again at the latent
    just found: what it converges to is led back exactly (fixed-point iteration, arXiv 2309.04907).
    """
    trajectory = []
    for step in reversed(steps):
        found = latent
        for _ in range(1 + refinements):
            found = step.invert(latent, predict_noise(found, step.timestep))
        latent = found
        trajectory.append(latent)
    return torch.stack(trajectory[::-1])
