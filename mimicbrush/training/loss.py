"""The training objective: the error of the predicted noise (or velocity), as its authors describe it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers import DDIMScheduler
from torch import Tensor


class LossParts(NamedTuple):
    """(B,) each: `whole` is trained on; the others are for watching, and NaN where a sample has no such position."""

    whole: Tensor
    inside: Tensor
    outside: Tensor


def prediction_loss(prediction: Tensor, target: Tensor, mask: Tensor, *, mask_weight: float = 1.0) -> LossParts:
    """Mean squared error over the whole latent, the masked positions weighing `mask_weight` times the others.

    prediction, target: (B, 4, h, w); mask: (B, 1, h, w), 1 where the edit happens. The authors train with weight 1:
    the kept region teaches the same network to reproduce what it is shown. White padding counts as kept region: the
    sampler has to denoise it like everything else.
    """
    squared = (prediction.float() - target.float()).pow(2).mean(dim=1, keepdim=True)
    return LossParts(
        whole=_mean(squared, 1 + (mask_weight - 1) * mask),
        inside=_mean(squared, mask).detach(),
        outside=_mean(squared, 1 - mask).detach(),
    )


def min_snr_weight(scheduler: DDIMScheduler, timestep: Tensor, gamma: float) -> Tensor:
    """Min-SNR loss weights (arXiv 2303.09556, section 3.4): (B,) timesteps -> (B,), in [0, 1].

    With a = alphas_cumprod and SNR = a / (1 - a): min(SNR, gamma) / SNR for noise, min(SNR, gamma) / (SNR + 1) for
    velocity. Both are written without a division by SNR or 1 - a, so that either may be 0.
    """
    a = scheduler.alphas_cumprod.to(timestep.device)[timestep]
    if scheduler.config.prediction_type == "v_prediction":
        return torch.minimum(a, gamma * (1 - a))
    return (gamma * (1 - a) / a).clamp(max=1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each sample: (B, 1, h, w) twice -> (B,)."""
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)
