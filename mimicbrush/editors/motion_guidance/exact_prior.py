"""A diffusion model without weights: the exact denoiser of a set of pictures, for tests and for counting passes."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import PredictNoise, signal_shares
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas


class ExactPrior:
    """A `Prior` whose latents are pixels in [-1, 1], and whose pictures are those of a set, all equally probable.

    pictures: (N, 3, size, size) in [0, 1].
    """

    stride = 1
    guidance_scale = 1.0

    def __init__(self, pictures: Tensor) -> None:
        self.canvas_size = pictures.shape[-1]
        self.latents = (pictures * 2 - 1).flatten(1)
        self.lengths = self.latents.square().sum(1)
        self.schedule = ScheduleConfig()
        self.shares = signal_shares(self.schedule)

    @property
    def device(self) -> torch.device:
        return self.latents.device

    def encode(self, pictures: Tensor) -> Tensor:
        return pictures * 2 - 1

    def decode(self, latents: Tensor) -> Tensor:
        return latents / 2 + 0.5

    def condition(self, canvas: MotionCanvas, prompt: str, *, guidance_scale: float) -> PredictNoise:
        return self.predict_noise

    def predict_noise(self, latent: Tensor, timestep: int) -> Tensor:
        """The noise that is expected, given the latent: from the mean of the set, weighted by its posterior."""
        share = self.shares[timestep]
        # The square of the distance, without the part that is equal for all pictures.
        distances = share * self.lengths - 2 * share**0.5 * (self.latents @ latent.flatten())
        weights = (-distances / (2 * (1 - share))).softmax(0)
        expected = (weights @ self.latents).reshape(latent.shape)
        return (latent - share**0.5 * expected) / (1 - share) ** 0.5
