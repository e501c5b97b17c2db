"""Sampling the frames of a clip together: windows of a long clip, features of a block, and the kept background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mimicbrush.diffusion.config import KeptBackground
from mimicbrush.diffusion.ddim import DdimStep
from mimicbrush.diffusion.neighbour_fields import blend_along_fields, neighbour_fields


class FramePrediction(NamedTuple):
    """Prediction for all frames of a clip."""

    noise: Tensor
    """(T, C, h, w)"""
    features: Tensor | None = None
    """(T, C', h', w'), of the block whose features lead the correction, if they were asked for."""


PredictFrames = Callable[[Tensor, int, bool], FramePrediction]
"""Receives noisy latents (T, C, h, w), their timestep, and whether features are needed."""

OnSampledStep = Callable[[Tensor], None]
"""Receives the latents without noise (T, C, h, w), as predicted in a step."""


class CorrectionRules(NamedTuple):
    """Blend of latents along the neighbour fields, in the first steps."""

    num_steps: int
    weights: tuple[float, float, float]
    chunk: int

    def apply(self, latents: Tensor, features: Tensor, mask: Tensor, number: int) -> Tensor:
        """Correct the latents (T, C, h, w) after step `number`, counted from 0, where the mask is 1."""
        if not self.is_due(number):
            return latents
        return blend_along_fields(latents, neighbour_fields(features, chunk=self.chunk), mask, weights=self.weights)

    def is_due(self, number: int) -> bool:
        return number < self.num_steps and self.weights[0] + self.weights[2] > 0


class SourceLatents(NamedTuple):
    """Latents of the source on the levels of sampling."""

    original: Tensor
    """(T, C, h, w), without noise."""
    trajectory: Tensor
    """(N, T, C, h, w), noisiest first: the input of each step."""

    def after(self, number: int) -> Tensor:
        """Latents on the level to which step `number` leads; the last one leads to the latents without noise."""
        return self.trajectory[number + 1] if number + 1 < len(self.trajectory) else self.original


@torch.no_grad()
def sample_frames(
    start: Tensor,
    source: SourceLatents,
    steps: Sequence[DdimStep],
    mask: Tensor,
    predict: PredictFrames,
    *,
    rules: CorrectionRules,
    background: KeptBackground,
    on_step: OnSampledStep,
) -> Tensor:
    """Sample the edited latents (T, C, h, w) of a clip from `start`, at the first step's noise level.

    mask: (T, 1, h, w) of 0 and 1. After each step the latents are corrected along the neighbour fields, in the first
    steps, and the source is put back outside the mask.
    """
    latents = start
    for number, step in enumerate(steps):
        prediction = predict(latents, step.timestep, rules.is_due(number))
        on_step(step.original(latents, prediction.noise))
        kept = {"number": number, "mask": mask, "source": source, "background": background}
        latents = denoise_in_mask(step, latents, prediction.noise, **kept)
        latents = rules.apply(latents, prediction.features, mask, number)
        latents = keep_background(latents, **kept)
    return latents


def mix_noise(inverted: Tensor, noise: Tensor, *, inverted_share: float) -> Tensor:
    """Replace a part of inverted latents (T, C, h, w) by noise (T or 1, C, h, w), at the same noise level.

    inverted_share: share of the variance that the inverted latents keep, 0 to 1.
    """
    return inverted_share**0.5 * inverted + (1 - inverted_share) ** 0.5 * noise


def to_latent_grid(mask: Tensor, height: int, width: int) -> Tensor:
    """Shrink masks (T, 1, H, W) to latents: a position may change (1) where any of its pixels may."""
    return (F.adaptive_max_pool2d(mask.float(), (height, width)) > 0.5).float()


def denoise_in_mask(
    step: DdimStep,
    noisy: Tensor,
    noise: Tensor,
    *,
    number: int,
    mask: Tensor,
    source: SourceLatents,
    background: KeptBackground,
) -> Tensor:
    """Take DDIM step `number`; with `original`, its prediction is replaced by the source's where the mask is 0."""
    if background == "original":
        original = torch.where(mask > 0.5, step.original(noisy, noise), source.original)
        return step.previous_alpha**0.5 * original + (1 - step.previous_alpha) ** 0.5 * noise
    return step.denoise(noisy, noise, torch.zeros_like(noisy))


def keep_background(
    latents: Tensor, *, number: int, mask: Tensor, source: SourceLatents, background: KeptBackground
) -> Tensor:
    """Put the source back where the mask is 0, after step `number`; after the last step this is exact."""
    is_last = number + 1 == len(source.trajectory)
    if background == "none" or (background == "original" and not is_last):
        return latents
    return torch.where(mask > 0.5, latents, source.after(number))


def frame_windows(num_frames: int, size: int, overlap: int) -> list[range]:
    """Windows of `size` frames that cover a clip and overlap by at least `overlap` frames; the last one ends with it.

    A clip that is not longer than a window is one window.
    """
    if num_frames <= size:
        return [range(num_frames)]
    starts = list(range(0, num_frames - size, size - overlap))
    return [range(start, start + size) for start in (*starts, num_frames - size)]


def average_windows(parts: list[tuple[range, Tensor]], num_frames: int) -> Tensor:
    """Average tensors (window, ...) of windows over the frames that several of them cover: (T, ...)."""
    first = parts[0][1]
    total, counts = first.new_zeros(num_frames, *first.shape[1:]), first.new_zeros(num_frames)
    for window, values in parts:
        total[window.start : window.stop] += values
        counts[window.start : window.stop] += 1
    return total / counts.view(-1, *[1] * (first.ndim - 1))


@contextmanager
def captured_states(module: nn.Module, *, of_input: bool = False) -> Iterator[list[Tensor]]:
    """Collect the outputs of a module's calls within the block, or their first inputs."""
    states: list[Tensor] = []
    if of_input:
        handle = module.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0]))
    else:
        handle = module.register_forward_hook(lambda module, inputs, output: states.append(output))
    try:
        yield states
    finally:
        handle.remove()
