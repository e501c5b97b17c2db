"""One step of consistency distillation: the student learns to jump to the end of the guided teacher's path.

Latent consistency models (arXiv 2310.04378, section 4; as adapters: 2311.05556). The teacher is the network without
its adapters, guided by the reference as in an edit; the student is the network with them, without guidance. The student
learns to predict the same original at a noise level and at the level to which the teacher's step leads from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.data.decode import PairBatch
from mimicbrush.device import send
from mimicbrush.diffusion.consistency import ConsistencyLevels
from mimicbrush.diffusion.seeded_noise import draw_rows
from mimicbrush.model.lora import without_adapters
from mimicbrush.model.network import Conditions
from mimicbrush.model.reference_attention import ReferenceFeatures
from mimicbrush.model.sampling import with_unconditional
from mimicbrush.training.loss import LossParts, pseudo_huber_loss
from mimicbrush.training.module import MimicBrushModule

HELDOUT_STEP = 5
"""Noise levels that each step of the teacher covers in the held-out loss: 10 steps from noise to a picture."""

FeaturesAt = Callable[[Tensor], ReferenceFeatures]
"""Computes the references' features at timesteps (B,)."""


class ConsistencyDraw(NamedTuple):
    """Random numbers of a step, for B latents."""

    noise: Tensor
    """(B, 4, h, w)"""
    level: Tensor
    """(B,), noise levels of `ConsistencyLevels`."""
    guidance_scale: Tensor
    """(B, 1, 1, 1), the teacher's."""


class ConsistencyModule(MimicBrushModule):
    """Trains adapters of the imitative U-Net alone, so that a network edits in few steps without guidance."""

    def training_step(self, pairs: PairBatch, batch_idx: int) -> dict[str, Tensor]:
        """Compute `loss`, and (B,) each `timestep` and the losses `whole`, `inside`, `outside`; `matching` is NaN."""
        batch = self.draw_batch(pairs)
        generator = self._generator("noise", self.global_step, *pairs.position[:1])
        latent = self.network.encode(batch.source, generator)
        keep_shape = self._draw_kept(len(latent), self.recipe.shape_drop_prob, generator)
        conditions = self.network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
        draw = self.draw_noise(latent, generator)
        losses = self.losses(latent, conditions, draw)
        return {
            "loss": losses.whole.mean(),
            "whole": losses.whole.detach(),
            "inside": losses.inside,
            "outside": losses.outside,
            "matching": torch.full_like(losses.inside, math.nan),
            "timestep": self.levels.timesteps.to(draw.level.device)[draw.level],
        }

    @property
    def levels(self) -> ConsistencyLevels:
        """The noise levels, made once."""
        if "_levels" not in vars(self):
            self._levels = ConsistencyLevels(self.network.options.prediction_type)
        return self._levels

    def draw_noise(self, latent: Tensor, generator: torch.Generator) -> ConsistencyDraw:
        """Draw noise, levels and guidance for latents (B, 4, h, w), on the CPU; sent to the latents' device."""
        low, high = self.recipe.consistency.guidance_scales
        level = torch.randint(len(self.levels), (len(latent),), generator=generator)
        scale = low + (high - low) * torch.rand(len(latent), 1, 1, 1, generator=generator)
        noise = draw_rows(latent.shape[1:], [generator] * len(latent))
        return ConsistencyDraw(*(send(each, latent.device) for each in (noise, level, scale)))

    def losses(self, latent: Tensor, conditions: Conditions, draw: ConsistencyDraw) -> LossParts:
        """Compare the student at these levels with itself one step of the teacher later, which gets no gradients."""
        step = self.levels.step_from(draw.level)
        previous = self.levels.previous_timesteps.to(draw.level.device)[draw.level]
        noisy, features_at = step.add_noise(latent, draw.noise), self._features_at(conditions)
        with torch.no_grad():
            # First, because switching the adapters off must not meet the graph of the student's prediction.
            with without_adapters(self.network.imitative_unet):
                guided = self._guided(noisy, step.timestep, conditions, features_at, draw.guidance_scale)
            solved = self.levels.solve(guided, noisy, draw.level)
            target = self._student(solved, previous, conditions, features_at)
        predicted = self._student(noisy, step.timestep, conditions, features_at)
        return pseudo_huber_loss(
            predicted,
            target,
            conditions.mask,
            width=self.recipe.consistency.huber_width,
            mask_weight=self.recipe.mask_weight,
        )

    def heldout_loss(
        self, latent: Tensor, conditions: Conditions, timestep: Tensor, generator: torch.Generator
    ) -> LossParts:
        """Compare the student with the end of the guided teacher's path, from the levels nearest to timesteps (B,).

        Unlike the target of training, this end does not change as the student learns, so checkpoints can be compared.
        The teacher takes steps of HELDOUT_STEP levels, with the mean of the guidance scales.
        """
        draw, features_at = self.draw_noise(latent, generator), self._features_at(conditions)
        level = (timestep[:, None] - self.levels.timesteps.to(timestep.device)).abs().argmin(dim=1)
        scale = torch.full_like(draw.guidance_scale, sum(self.recipe.consistency.guidance_scales) / 2)
        noisy = self.levels.step_from(level).add_noise(latent, draw.noise)
        predicted = self._student(noisy, self.levels.step_from(level).timestep, conditions, features_at)
        end, at = noisy, level
        with without_adapters(self.network.imitative_unet):
            while (at >= 0).any():
                here = at.clamp(min=0)
                guided = self._guided(end, self.levels.step_from(here).timestep, conditions, features_at, scale)
                solved = self.levels.solve(guided, end, here, HELDOUT_STEP)
                end = torch.where((at >= 0).view(-1, 1, 1, 1), solved, end)
                at = at - HELDOUT_STEP
        return pseudo_huber_loss(predicted, end, conditions.mask, width=self.recipe.consistency.huber_width)

    def _student(self, noisy: Tensor, timestep: Tensor, conditions: Conditions, features_at: FeaturesAt) -> Tensor:
        prediction = self.network.predict(noisy, timestep, conditions, features_at(timestep))
        return self.levels.original(prediction.float(), noisy, timestep)

    def _guided(
        self, noisy: Tensor, timestep: Tensor, conditions: Conditions, features_at: FeaturesAt, guidance_scale: Tensor
    ) -> Tensor:
        """Predict with guidance by the reference, as `GuidedPredictor` does in an edit."""
        rows, features = with_unconditional(self.network, conditions), features_at(timestep)
        both = self.network.predict(torch.cat([noisy, noisy]), timestep.repeat(2), rows, features, twins=True)
        conditional, unconditional = both.float().chunk(2)
        return torch.lerp(unconditional, conditional, guidance_scale)

    def _features_at(self, conditions: Conditions) -> FeaturesAt:
        """Features of the references, computed once if they depend neither on timesteps nor on adapters."""
        options = self.network.options
        latent, tokens = conditions.reference_latent, conditions.image_tokens
        if options.reference_timestep == "zero" and options.reference_projections == "reference":
            features = self.network.reference_features(latent, latent.new_zeros(len(latent)), tokens)
            return lambda timestep: features
        return lambda timestep: self.network.reference_features(latent, timestep, tokens)
