"""MimicBrush's network on all frames of a clip: predictions some frames at a time, and features for the correction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mimicbrush.diffusion.ddim import noise_of
from mimicbrush.diffusion.frame_sampling import FramePrediction, captured_states
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import GuidedPredictor


class ImitatedFrames:
    """Predicts the noise in the frames of a clip, each of which the network sees alone.

    conditions: of T frames, with one reference for all or one for each; shares: of the signal at each timestep; block:
    up block whose features are returned.
    """

    def __init__(
        self,
        network: MimicBrushNetwork,
        conditions: Conditions,
        shares: Sequence[float],
        *,
        guidance_scale: float,
        block: int,
        frames_at_once: int,
    ) -> None:
        self.network = network
        self.shares = shares
        self.block = network.imitative_unet.up_blocks[block]
        self.frames_at_once = frames_at_once
        columns = [
            [value] * -(-len(conditions.mask) // frames_at_once) if len(value) == 1 else value.split(frames_at_once)
            for value in conditions
        ]
        self.predictors = [
            GuidedPredictor(network, part, num_rows=len(part.mask), guidance_scale=guidance_scale)
            for part in (Conditions(*each) for each in zip(*columns, strict=True))
        ]

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: int, with_features: bool) -> FramePrediction:
        """Predict the noise in latents (T, C, h, w)."""
        parts = [
            self._predict_part(predictor, part, timestep)
            for predictor, part in zip(self.predictors, latents.split(self.frames_at_once), strict=True)
        ]
        noise, features = (torch.cat(each) for each in zip(*parts, strict=True))
        return FramePrediction(noise, features if with_features else None)

    def _predict_part(self, predictor: GuidedPredictor, latents: Tensor, timestep: int) -> tuple[Tensor, Tensor]:
        with captured_states(self.block) as states:
            prediction = predictor.predict(latents, torch.tensor(timestep, device=latents.device))
        kind = self.network.options.prediction_type
        # With guidance, the rows that see the reference come first.
        return noise_of(prediction, latents, self.shares[timestep], kind), states[-1][: len(latents)]
