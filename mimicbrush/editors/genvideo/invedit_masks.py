"""InvEdit: masks from the difference between a source branch and a target branch of denoising (GenVideo, 2.3).

Both branches start from the clip's inverted latents. Each follows its own prediction, so that the target branch takes
the target's shape, and the difference covers source and target object together. With fresh noise, as in DiffEdit, the
two predictions are compared at the clip itself, which needs neither tuning nor inversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep, PredictNoise
from mimicbrush.editors.genvideo.settings import InvEditSettings
from mimicbrush.pictures.mask_geometry import grow, longer_side, mask_box
from mimicbrush.segmentation.grabcut import largest_piece

PEAK_QUANTILE = 0.99
"""Quantile of the differences that counts as their peak."""
ROUNDING = 1e-5
"""Differences below this come from rounding; noise has a standard deviation of 1."""


def branch_differences(
    trajectory: Tensor,
    predict_source: PredictNoise,
    predict_target: PredictNoise,
    steps: Sequence[DdimStep],
    settings: InvEditSettings,
    *,
    follow: bool = True,
    on_step: Callable[[], None] | None = None,
) -> Tensor:
    """Mean absolute difference of the noise of both branches, over channels and chosen steps: (T, h, w).

    trajectory: (N, T, C, h, w), the clip's inversion, noisiest first. follow: whether each branch follows its own
    prediction from the first step on, as in GenVideo; otherwise both see the clip's inversion in each step, as in
    DiffEdit, so that the differences stay with the source object.
    """
    first, chosen = first_step(len(steps), settings), chosen_steps(len(steps), settings)
    source = target = trajectory[first]
    total = torch.zeros_like(source[:, 0])
    for number in range(first, chosen.stop):
        step = steps[number]
        noises = predict_source(source, step.timestep), predict_target(target, step.timestep)
        if number in chosen:
            total += (noises[0] - noises[1]).abs().mean(dim=1)
        if follow:
            source, target = (
                step.denoise(latents, noise, torch.zeros_like(latents))
                for latents, noise in zip((source, target), noises, strict=True)
            )
        elif number + 1 < len(steps):
            source = target = trajectory[number + 1]
        if on_step is not None:
            on_step()
    return total / len(chosen)


def fresh_noise_differences(
    latents: Tensor,
    predict_source: PredictNoise,
    predict_target: PredictNoise,
    noises: Iterable[Tensor],
    *,
    timestep: int,
    share: float,
    on_draw: Callable[[], None] | None = None,
) -> Tensor:
    """Mean absolute difference of the noise predicted for both conditions, over channels and draws: (T, h, w).

    latents, noises: (T, C, h, w) each, of the clip, and one draw of noise after the other; share: share of the clip in
    the variance at `timestep`.
    """
    differences = []
    for noise in noises:
        noisy = share**0.5 * latents + (1 - share) ** 0.5 * noise
        predictions = predict_source(noisy, timestep), predict_target(noisy, timestep)
        differences.append((predictions[0] - predictions[1]).abs().mean(dim=1))
        if on_draw is not None:
            on_draw()
    return torch.stack(differences).mean(dim=0)


def first_step(num_steps: int, settings: InvEditSettings) -> int:
    """Number of the step with which the branches begin, from 0."""
    return min(round(settings.start_share * num_steps), num_steps - 1)


def chosen_steps(num_steps: int, settings: InvEditSettings) -> range:
    """Numbers of the steps whose differences count, from 0; at least one."""
    first = max(first_step(num_steps, settings), min(round(settings.first_share * num_steps), num_steps - 1))
    return range(first, max(first + 1, round(settings.last_share * num_steps)))


def masks_of_differences(
    differences: Tensor, settings: InvEditSettings, *, outline: NDArray[np.bool_] | None = None
) -> Tensor:
    """Turn differences (T, h, w) into masks (T, 1, h, w) of 0 and 1; equal branches give empty masks.

    outline: (H, W), the target's object in its own picture, which is added where the settings give it a size.
    """
    if settings.median:
        smoothed = median_filter(differences.cpu().numpy(), size=(1, *[2 * settings.median + 1] * 2), mode="nearest")
        differences = torch.from_numpy(smoothed)
    differences = torch.where(differences > ROUNDING, differences, 0)
    masks = _in_time(_relative(differences, settings) > settings.threshold, settings).numpy()
    if settings.largest_piece:
        masks = np.stack([largest_piece(mask) for mask in masks])
    if settings.target_size and outline is not None:
        masks = np.stack([mask | outline_around(mask, outline, size=settings.target_size) for mask in masks])
    if settings.margin:
        masks = np.stack([grow(mask, settings.margin) for mask in masks])
    return torch.from_numpy(masks).float()[:, None]


def _relative(differences: Tensor, settings: InvEditSettings) -> Tensor:
    """Scale differences (T, h, w) to those that the threshold is compared with."""
    if settings.scale == "peak":
        low, high = np.quantile(differences.cpu().numpy(), (0.5, PEAK_QUANTILE))
        return (differences - low) / max(high - low, ROUNDING)
    axes = (1, 2) if settings.scale == "frame" else (0, 1, 2)
    limit = settings.max_ratio * differences.mean(dim=axes, keepdim=True)
    return differences.clamp(max=limit) / limit.clamp(min=ROUNDING)


def outline_around(mask: NDArray[np.bool_], outline: NDArray[np.bool_], *, size: float) -> NDArray[np.bool_]:
    """Place an object's outline (H, W) around the middle of the mask's box: (h, w).

    size: longer side of the outline's box, in longer sides of the mask's. An empty mask stays empty.
    """
    if not mask.any():
        return mask
    rows, columns = mask_box(mask)
    inner_rows, inner_columns = mask_box(outline)
    inner = outline[inner_rows, inner_columns]
    scale = size * longer_side((rows, columns)) / max(inner.shape)
    # From an output position's middle to the outline's: whole positions are at half-integer coordinates.
    middle_y, middle_x = (rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2
    matrix = np.array(
        [
            [scale, 0, middle_x - scale * inner.shape[1] / 2 + (scale - 1) / 2],
            [0, scale, middle_y - scale * inner.shape[0] / 2 + (scale - 1) / 2],
        ]
    )
    height, width = mask.shape
    return cv2.warpAffine(inner.astype(np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR) > 0.5


def _in_time(masks: Tensor, settings: InvEditSettings) -> Tensor:
    """Use the frames beside each one; the ends of the clip are repeated."""
    masks = masks.cpu()
    if settings.in_time == "frame":
        return masks
    padded = F.pad(masks.float()[None, None], (0, 0, 0, 0, 1, 1), mode="replicate")[0, 0]
    votes = padded[:-2] + padded[1:-1] + padded[2:]
    return votes >= (1 if settings.in_time == "any" else 2)
