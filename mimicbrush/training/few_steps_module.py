"""One step of distillation: the student learns to edit in few steps, without guidance, as its guided teacher does.

The teacher is the network without its adapters, guided by the reference as in an edit; the student is the network with
them. From noise, the student edits in its few steps. From each latent on its way, the teacher takes several guided
steps in place of one; the student's step should lead where these lead. This is progressive distillation (arXiv
2202.00512) of a guided network (2210.03142) on the student's own path, on which its errors of earlier steps are met.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.data.decode import PairBatch
from mimicbrush.device import send
from mimicbrush.diffusion.seeded_noise import draw_rows
from mimicbrush.diffusion.student_steps import StudentSteps
from mimicbrush.model.lora import without_adapters
from mimicbrush.model.network import Conditions
from mimicbrush.model.reference_attention import ReferenceFeatures
from mimicbrush.model.sampling import repeat_conditions, repeat_features, with_unconditional
from mimicbrush.training.loss import LossParts, pseudo_huber_loss
from mimicbrush.training.module import MimicBrushModule

FeaturesAt = Callable[[Tensor], ReferenceFeatures]
"""Computes the references' features at timesteps (B,)."""


class Rows(NamedTuple):
    """Conditions of B rows, and the features of their references."""

    conditions: Conditions
    features_at: FeaturesAt


class FewStepsModule(MimicBrushModule):
    """Trains adapters of the imitative U-Net alone, so that a network edits in few steps without guidance."""

    def training_step(self, pairs: PairBatch, batch_idx: int) -> dict[str, Tensor]:
        """Compute `loss`, and for each of the student's steps, (B N,) `timestep` and the losses `whole`, `inside`,
        `outside`; `matching` is NaN.
        """
        batch = self.draw_batch(pairs)
        generator = self._generator("noise", self.global_step, *pairs.position[:1])
        keep_shape = self._draw_kept(len(batch.source), self.recipe.shape_drop_prob, generator)
        conditions = self.network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
        losses, timestep = self.losses(conditions, self.draw_noise(conditions, generator))
        return {
            "loss": losses.whole.mean(),
            "whole": losses.whole.detach(),
            "inside": losses.inside,
            "outside": losses.outside,
            "matching": torch.full_like(losses.inside, math.nan),
            "timestep": timestep,
        }

    @property
    def steps(self) -> StudentSteps:
        """The student's steps, made once: those that its network recommends for edits."""
        if "_steps" not in vars(self):
            options = self.network.options
            num_steps = options.recommended.num_inference_steps
            self._steps = StudentSteps(options.prediction_type, num_steps, self.device)
        return self._steps

    def draw_noise(self, conditions: Conditions, generator: torch.Generator) -> Tensor:
        """Draw noise (B, 4, h, w) on the CPU; sent to the conditions' device."""
        latent = conditions.background_latent
        return send(draw_rows(latent.shape[1:], [generator] * len(latent)), latent.device)

    def losses(self, conditions: Conditions, noise: Tensor) -> tuple[LossParts, Tensor]:
        """Compare each of the student's N steps with the teacher's, which get no gradients.

        conditions: of B edits; noise: (B, 4, h, w). Returns losses and timesteps (B N,), an edit's steps side by side.
        """
        rows, num = self._rows(conditions), len(self.steps)
        with torch.no_grad():
            # First, because switching the adapters off must not meet the graph of the student's predictions.
            path = self._student_path(rows, noise)
            noisy, repeated = torch.stack(path[:-1], dim=1).flatten(0, 1), self._repeat(rows, num)
            number = torch.arange(num, device=noise.device).repeat(len(noise))
            target = self._teach(repeated, noisy, number)
        reached = self._student(repeated, noisy, number)
        losses = pseudo_huber_loss(
            reached,
            target,
            repeated.conditions.mask,
            width=self.recipe.few_steps.huber_width,
            mask_weight=self.recipe.mask_weight,
        )
        return losses, self.steps.timesteps[number]

    def heldout_loss(
        self, latent: Tensor, conditions: Conditions, timestep: Tensor, generator: torch.Generator
    ) -> LossParts:
        """Compare the student's edit with the teacher's from the same noise; latent and timestep do not matter.

        Unlike the target of training, the teacher's edit does not change as the student learns, so checkpoints can be
        compared.
        """
        rows, noise = self._rows(conditions), self.draw_noise(conditions, generator)
        end = noise
        for step in range(len(self.steps)):
            end = self._teach(rows, end, torch.full((len(noise),), step, device=noise.device))
        edited = self._student_path(rows, noise)[-1]
        return pseudo_huber_loss(edited, end, conditions.mask, width=self.recipe.few_steps.huber_width)

    def _student_path(self, rows: Rows, noise: Tensor) -> list[Tensor]:
        """Edit from noise: the latents before each of the student's steps, and those after the last one."""
        path = [noise]
        for step in range(len(self.steps)):
            path.append(self._student(rows, path[-1], torch.full((len(noise),), step, device=noise.device)))
        return path

    def _student(self, rows: Rows, noisy: Tensor, number: Tensor) -> Tensor:
        """Take the student's steps of these numbers (B,)."""
        timestep, reached = self.steps.part(number, 0, 1)
        prediction = self.network.predict(noisy, timestep, rows.conditions, rows.features_at(timestep))
        return self.steps.take(prediction, noisy, timestep, reached)

    def _teach(self, rows: Rows, noisy: Tensor, number: Tensor) -> Tensor:
        """Take the teacher's steps in place of the student's steps of these numbers (B,)."""
        num_parts = self.recipe.few_steps.teacher_steps
        with without_adapters(self.network.imitative_unet):
            for index in range(num_parts):
                timestep, reached = self.steps.part(number, index, num_parts)
                noisy = self.steps.take(self._guided(rows, noisy, timestep), noisy, timestep, reached)
        return noisy

    def _guided(self, rows: Rows, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Predict with guidance by the reference, as `GuidedPredictor` does in an edit."""
        doubled, features = with_unconditional(self.network, rows.conditions), rows.features_at(timestep)
        both = self.network.predict(torch.cat([noisy, noisy]), timestep.repeat(2), doubled, features, twins=True)
        conditional, unconditional = both.float().chunk(2)
        return torch.lerp(unconditional, conditional, self.recipe.few_steps.guidance_scale)

    def _rows(self, conditions: Conditions) -> Rows:
        """Prepare rows; features are computed once if they depend neither on timesteps nor on adapters."""
        options = self.network.options
        latent, tokens = conditions.reference_latent, conditions.image_tokens
        if options.reference_timestep == "zero" and options.reference_projections == "reference":
            features = self.network.reference_features(latent, latent.new_zeros(len(latent)), tokens)
            return Rows(conditions, lambda timestep: features)
        return Rows(conditions, lambda timestep: self.network.reference_features(latent, timestep, tokens))

    def _repeat(self, rows: Rows, num: int) -> Rows:
        """Repeat each row `num` times, side by side."""
        repeated = repeat_conditions(rows.conditions, num * len(rows.conditions.mask))
        if self.network.options.reference_timestep == "current":
            return self._rows(repeated)
        return Rows(repeated, lambda timestep: repeat_features(rows.features_at(timestep[::num]), num))
