"""MimicBrush's network as the prior of a motion: it repaints the mask with the source as its own reference."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import PredictNoise, noise_of, signal_shares
from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import GuidedPredictor

POSTERIOR_SEED = 0
"""Seed for drawing the conditions' latents from the autoencoder's posteriors."""


class ImitativePrior:
    """A `Prior` by MimicBrush's network; what may change is hidden from it, and the whole source is its reference."""

    def __init__(self, network: MimicBrushNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        self.schedule = ScheduleConfig(prediction_type=network.options.prediction_type)
        self.shares = signal_shares(self.schedule)
        self.canvas_size = network.size
        self.stride = network.stride
        self.guidance_scale = network.options.recommended.guidance_scale

    @property
    def device(self) -> torch.device:
        return self.network.device

    def to(self, device: torch.device) -> ImitativePrior:
        self.network.to(device)
        return self

    def enable_gradient_checkpointing(self) -> None:
        """Compute activations again in the backward pass, block by block."""
        enable_gradient_checkpointing(self.network.imitative_unet)
        self.network.autoencoder.enable_gradient_checkpointing()

    def encode(self, pictures: Tensor) -> Tensor:
        return encode_mean(self.network.autoencoder, pictures)

    def decode(self, latents: Tensor) -> Tensor:
        return decode_unclamped(self.network.autoencoder, latents)

    def condition(self, canvas: MotionCanvas, prompt: str, *, guidance_scale: float) -> PredictNoise:
        """Condition on the source as reference; the prompt, which such a network cannot read, is ignored."""
        conditions = self._condition(canvas)
        predictor = GuidedPredictor(self.network, conditions, num_rows=1, guidance_scale=guidance_scale)

        def predict(latent: Tensor, timestep: int) -> Tensor:
            prediction = predictor.predict(latent, torch.tensor(timestep, device=latent.device))
            return noise_of(prediction, latent, self.shares[timestep], self.schedule.prediction_type)

        return predict

    @torch.no_grad()
    def _condition(self, canvas: MotionCanvas) -> Conditions:
        keep_shape = torch.zeros(1, dtype=torch.bool, device=self.device)
        generators = seeded_generators([POSTERIOR_SEED])
        return self.network.condition(canvas.source, canvas.mask, canvas.source, keep_shape, generators)
