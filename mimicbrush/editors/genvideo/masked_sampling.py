"""Inversion and reconstruction of a clip, and sampling of its edit from the inverted latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep, invert
from mimicbrush.diffusion.frame_sampling import CorrectionRules, SourceLatents, denoise_in_mask, keep_background
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.settings import GenVideoSettings

OnSampledStep = Callable[[Tensor], None]
"""Receives the latents without noise (T, C, h, w), as predicted in a step."""


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

    return invert(latents, predict_noise, steps)


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


@torch.no_grad()
def sample_edit(
    denoiser: ClipDenoiser,
    source: SourceLatents,
    condition: ClipCondition,
    steps: Sequence[DdimStep],
    mask: Tensor,
    on_step: OnSampledStep,
) -> Tensor:
    """Sample the edited latents (T, C, h, w) from the inverted ones; mask: (T, 1, h, w) of 0 and 1.

    After each step the latents are corrected along the neighbour fields, in the first steps, and the source is put back
    outside the mask.
    """
    settings: GenVideoSettings = denoiser.settings
    rules = CorrectionRules(settings.correction_steps, settings.correction_weights, settings.correction_chunk)
    latents = source.trajectory[0]
    for number, step in enumerate(steps):
        prediction = denoiser.predict(
            latents,
            step.timestep,
            condition,
            guidance_scale=settings.guidance_scale,
            with_features=rules.is_due(number),
        )
        on_step(step.original(latents, prediction.noise))
        kept = {"number": number, "mask": mask, "source": source, "background": settings.background}
        latents = denoise_in_mask(step, latents, prediction.noise, **kept)
        latents = rules.apply(latents, prediction.features, mask, number)
        latents = keep_background(latents, **kept)
    return latents


def _decibels(frames: Tensor, truth: Tensor) -> float:
    # Rounding alone differs by about 150 dB; equal frames have no ratio.
    if torch.equal(frames, truth):
        return float("inf")
    return float(peak_signal_noise_ratio(truth.cpu().numpy(), frames.cpu().numpy(), data_range=1))
