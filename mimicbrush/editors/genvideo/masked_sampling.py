"""Inversion and reconstruction of a clip, and sampling of its edit from the inverted latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep, invert
from mimicbrush.diffusion.frame_sampling import (
    CorrectionRules,
    FramePrediction,
    OnSampledStep,
    SourceLatents,
    mix_noise,
    sample_frames,
)
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.settings import GenVideoSettings


class Reconstruction(NamedTuple):
    """Peak signal-to-noise ratio of the unedited clip, in dB."""

    from_inversion: float
    """As sampling returns from the inverted latents, without guidance."""
    by_autoencoder: float
    """As the autoencoder alone returns it, which no sampling exceeds."""


def invert_clip(
    denoiser: ClipDenoiser, latents: Tensor, condition: ClipCondition, steps: list[DdimStep], on_step: OnSampledStep
) -> Tensor:
    """Invert latents (T, C, h, w) without guidance: (N, T, C, h, w), noisiest first."""

    def predict_noise(noisy: Tensor, timestep: int) -> Tensor:
        on_step(latents)
        return denoiser.predict(noisy, timestep, condition).noise

    return invert(latents, predict_noise, steps, refinements=denoiser.settings.inversion_refinements)


@torch.no_grad()
def reconstruct_clip(
    denoiser: ClipDenoiser,
    frames: Tensor,
    source: SourceLatents,
    condition: ClipCondition,
    steps: Sequence[DdimStep],
    on_step: OnSampledStep,
) -> Reconstruction:
    """Sample the clip back from its inverted latents, and compare it with its frames (T, 3, H, W)."""
    latents = source.trajectory[0]
    for step in steps:
        noise = denoiser.predict(latents, step.timestep, condition).noise
        on_step(step.original(latents, noise))
        latents = step.denoise(latents, noise, torch.zeros_like(latents))
    return Reconstruction(
        *(_decibels(denoiser.decode(each), frames) for each in (latents, source.original)),
    )


def sample_edit(
    denoiser: ClipDenoiser,
    source: SourceLatents,
    condition: ClipCondition,
    steps: Sequence[DdimStep],
    mask: Tensor,
    noise: Tensor,
    on_step: OnSampledStep,
) -> Tensor:
    """Sample the edited latents (T, C, h, w) from the inverted ones; mask: (T, 1, h, w) of 0 and 1.

    noise: (1, C, h, w), of which the start has its share within the mask, the same in every frame.
    """
    settings: GenVideoSettings = denoiser.settings
    inverted = source.trajectory[0]
    start = torch.where(mask > 0.5, mix_noise(inverted, noise, inverted_share=settings.inverted_share), inverted)

    def predict(latents: Tensor, timestep: int, with_features: bool) -> FramePrediction:
        return denoiser.predict(
            latents, timestep, condition, guidance_scale=settings.guidance_scale, with_features=with_features
        )

    return sample_frames(
        start,
        source,
        steps,
        mask,
        predict,
        rules=CorrectionRules(settings.correction_steps, settings.correction_weights, settings.correction_chunk),
        background=settings.background,
        on_step=on_step,
    )


def _decibels(frames: Tensor, truth: Tensor) -> float:
    # Rounding alone differs by about 150 dB; equal frames have no ratio.
    if torch.equal(frames, truth):
        return float("inf")
    return float(peak_signal_noise_ratio(truth.cpu().numpy(), frames.cpu().numpy(), data_range=1))
