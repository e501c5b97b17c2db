"""A diffusion model without weights: the exact denoiser of one object that is at each place with equal probability."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import PredictNoise, signal_shares
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas

SIZE = 64
OBJECT = 16
"""Side of the object in pixels."""
GRID = 3
"""Pixels between neighbouring places."""


class ExactPrior:
    """A `Prior` whose latents are pixels in [-1, 1], and whose pictures are those of a set.

    pictures: (N, 3, SIZE, SIZE) in [0, 1], equally probable.
    """

    canvas_size = SIZE
    stride = 1
    guidance_scale = 1.0
    device = torch.device("cpu")

    def __init__(self, pictures: Tensor) -> None:
        self.latents = (pictures * 2 - 1).flatten(1)
        self.lengths = self.latents.square().sum(1)
        self.schedule = ScheduleConfig()
        self.shares = signal_shares(self.schedule)

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


def draw_places(seed: int) -> tuple[Tensor, Tensor]:
    """A smooth background with a textured object at each place: pictures (N, 3, SIZE, SIZE), places (N, 2) as x, y."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 5, 5, generator=generator)
    background, texture = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear", align_corners=True)
    thing = texture[:, :OBJECT, :OBJECT].clone()
    thing[:, ::4] = 1 - thing[:, ::4]
    thing[:, :, :5] = torch.rand(3, 1, 1, generator=generator)
    places = [(x, y) for y in range(0, SIZE - OBJECT + 1, GRID) for x in range(0, SIZE - OBJECT + 1, GRID)]
    pictures = background.repeat(len(places), 1, 1, 1)
    for picture, (x, y) in zip(pictures, places, strict=True):
        picture[:, y : y + OBJECT, x : x + OBJECT] = thing
    return pictures, torch.tensor(places).float()
