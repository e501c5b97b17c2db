"""Training objective: the squared error of the predicted noise or velocity, and the loss of distillation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers import DDIMScheduler
from torch import Tensor


class LossParts(NamedTuple):
    """Losses of B samples, (B,) each. Training uses `whole`; the others are recorded, NaN without such positions."""

    whole: Tensor
    inside: Tensor
    outside: Tensor


def prediction_loss(prediction: Tensor, target: Tensor, mask: Tensor, *, mask_weight: float = 1.0) -> LossParts:
    """Mean squared error over the whole latent; masked positions weigh `mask_weight` times the others.

    prediction, target: (B, 4, h, w); mask: (B, 1, h, w), 1 where the edit happens. The authors train with weight 1:
    from the kept region the network learns to reproduce its background. White padding counts as kept, because the
    sampler has to denoise it, too.
    """
    squared = (prediction.float() - target.float()).pow(2).mean(dim=1, keepdim=True)
    return _loss_parts(squared, mask, mask_weight)


def pseudo_huber_loss(
    prediction: Tensor, target: Tensor, mask: Tensor, *, width: float, mask_weight: float = 1.0
) -> LossParts:
    """Pseudo-Huber loss sqrt(error^2 + width^2) - width (arXiv 2310.14189, equation 8), for each value of a latent.

    It is quadratic for errors far below `width` and linear beyond; width 0: the squared error. Shapes and mask_weight:
    as in `prediction_loss`.
    """
    error = prediction.float() - target.float()
    each = error.pow(2) if width == 0 else (error.pow(2) + width**2).sqrt() - width
    return _loss_parts(each.mean(dim=1, keepdim=True), mask, mask_weight)


def weighted_mean(losses: Tensor, scheduler: DDIMScheduler, timestep: Tensor, *, min_snr_gamma: float) -> Tensor:
    """Mean loss of a batch, (B,) -> (), with Min-SNR weights if `min_snr_gamma` is positive."""
    if not min_snr_gamma:
        return losses.mean()
    return (min_snr_weight(scheduler, timestep, min_snr_gamma) * losses).mean()


def min_snr_weight(scheduler: DDIMScheduler, timestep: Tensor, gamma: float) -> Tensor:
    """Compute Min-SNR loss weights (arXiv 2303.09556, section 3.4): (B,) timesteps -> (B,), in [0, 1].

    With a = alphas_cumprod and SNR = a / (1 - a): min(SNR, gamma) / SNR for noise, min(SNR, gamma) / (SNR + 1) for
    velocity. Both are written without a division by SNR or 1 - a, so that either may be 0.
    """
    a = scheduler.alphas_cumprod.to(timestep.device)[timestep]
    if scheduler.config.prediction_type == "v_prediction":
        return torch.minimum(a, gamma * (1 - a))
    return (gamma * (1 - a) / a).clamp(max=1)


def _loss_parts(losses: Tensor, mask: Tensor, mask_weight: float) -> LossParts:
    """Average the losses of positions (B, 1, h, w)."""
    return LossParts(
        whole=_mean(losses, 1 + (mask_weight - 1) * mask),
        inside=_mean(losses, mask).detach(),
        outside=_mean(losses, 1 - mask).detach(),
    )


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each sample: (B, 1, h, w) twice -> (B,)."""
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)
