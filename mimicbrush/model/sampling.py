"""Sample edited latents from noise, with classifier-free guidance."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from mimicbrush.device import send
from mimicbrush.diffusion.schedulers import predict_original, set_timesteps
from mimicbrush.diffusion.seeded_noise import draw_rows
from mimicbrush.model.attention import KeyValue
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.reference_attention import ReferenceFeatures

OnStep = Callable[[int, Tensor, Tensor], Tensor | None]
"""Receives the number of a finished step, its latents and the predicted final latents; may return latents that replace
those of the step."""


@torch.no_grad()
def sample(
    network: MimicBrushNetwork,
    conditions: Conditions,
    noise: Tensor,
    *,
    scheduler: SchedulerMixin,
    num_inference_steps: int,
    guidance_scale: float,
    generators: list[torch.Generator] | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Denoise N samples of each of B edits together: noise (B·N, 4, h, w) -> edited latents, in the same order.

    noise: rows of one edit side by side. generators: one per row, for schedulers that add noise in each step.
    guidance_scale: 1 or less means no guidance, as in diffusers, and then no unconditional rows are computed.
    on_step: called after each step; an exception that it raises ends the sampling.
    """
    if not len(noise) or any(len(noise) % len(value) for value in conditions):
        raise ValueError(f"{len(noise)} rows of noise for {len(conditions.mask)} edits; expected a multiple")
    predictor = GuidedPredictor(network, conditions, num_rows=len(noise), guidance_scale=guidance_scale)
    set_timesteps(scheduler, num_inference_steps)
    device_timesteps = send(scheduler.timesteps, noise.device)
    step_noise = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latent = noise * scheduler.init_noise_sigma
    for step, timestep in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(latent, timestep)
        prediction = predictor.predict(scaled, device_timesteps[step])
        latent = scheduler.step(prediction, timestep, latent, **step_noise, return_dict=False)[0]
        if on_step is not None:
            replacement = on_step(
                step, latent, predict_original(scheduler, prediction, scaled, timestep, default=latent)
            )
            latent = latent if replacement is None else replacement
    return latent


class GuidedPredictor:
    """Predicts the noise (or velocity) of all rows in a sampling step, with classifier-free guidance.

    Unconditional rows see neither image tokens nor reference; mask, background and shape stay (paper, 4.1). Conditions
    are computed once per edit and repeated for its samples; reference features once per reference.
    """

    def __init__(
        self, network: MimicBrushNetwork, conditions: Conditions, *, num_rows: int, guidance_scale: float
    ) -> None:
        self.network = network
        self.conditions = conditions
        self.num_rows = num_rows
        self.guidance_scale = guidance_scale
        self.is_guided = guidance_scale > 1
        rows = repeat_conditions(conditions, num_rows)
        self.rows = with_unconditional(network, rows) if self.is_guided else rows
        self.features: ReferenceFeatures | None = None

    def predict(self, latent: Tensor, timestep: Tensor) -> Tensor:
        """Predict for latents (num_rows, 4, h, w), scaled as the scheduler demands; timestep: scalar."""
        features = self._reference_features(timestep)
        if not self.is_guided:
            return self.network.predict(latent, timestep, self.rows, features)
        both = self.network.predict(torch.cat([latent, latent]), timestep, self.rows, features, twins=True)
        conditional, unconditional = both.chunk(2)
        return torch.lerp(unconditional, conditional, self.guidance_scale)

    def _reference_features(self, timestep: Tensor) -> ReferenceFeatures:
        if self.features is None or self.network.options.reference_timestep == "current":
            latents, tokens = self.conditions.reference_latent, self.conditions.image_tokens
            features = self.network.reference_features(latents, timestep, tokens)
            self.features = repeat_features(features, self.num_rows // len(latents))
        return self.features


def draw_noise(network: MimicBrushNetwork, generators: list[torch.Generator]) -> Tensor:
    """Draw noise (B, 4, h, w), each row from its generator; rows that share a generator draw from it in turn."""
    side = network.size // network.stride
    shape = (network.imitative_unet.config.out_channels, side, side)
    return send(draw_rows(shape, generators), network.device)


def with_unconditional(network: MimicBrushNetwork, conditions: Conditions) -> Conditions:
    """Append each row again without image tokens; only the first half will see the reference."""
    doubled = Conditions(*(torch.cat([value, value]) for value in conditions))
    absent = network.absent_tokens().expand_as(conditions.image_tokens)
    return doubled._replace(image_tokens=torch.cat([conditions.image_tokens, absent]))


def _repeat(rows: Tensor, num: int) -> Tensor:
    """Repeat each row `num` times, side by side."""
    return rows if num == 1 else rows.repeat_interleave(num, dim=0)


def repeat_conditions(conditions: Conditions, num_rows: int) -> Conditions:
    """Repeat each row, side by side, to `num_rows` rows; where there are fewer references, each more often."""
    return Conditions(*(_repeat(value, num_rows // len(value)) for value in conditions))


def repeat_features(features: ReferenceFeatures, num: int) -> ReferenceFeatures:
    """Repeat the features of each reference `num` times, side by side."""
    return {name: KeyValue(*(_repeat(states, num) for states in pair)) for name, pair in features.items()}
