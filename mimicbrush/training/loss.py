"""The training objective: the error of the predicted noise (or velocity), as its authors describe it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LossParts(NamedTuple):
    """loss is trained on; inside and outside are for watching."""

    loss: Tensor
    inside: Tensor
    outside: Tensor


def prediction_loss(prediction: Tensor, target: Tensor, mask: Tensor, *, mask_weight: float = 1.0) -> LossParts:
    """Mean squared error over the whole latent, the masked positions weighing `mask_weight` times the others.

    prediction, target: (B, 4, h, w); mask: (B, 1, h, w), 1 where the edit happens. The authors train with weight 1:
    the kept region teaches the same network to reproduce what it is shown.
    """
    squared = (prediction.float() - target.float()).pow(2).mean(dim=1, keepdim=True)
    weight = 1 + (mask_weight - 1) * mask
    return LossParts(
        loss=(squared * weight).sum() / weight.sum(),
        inside=_mean_where(squared, mask),
        outside=_mean_where(squared, 1 - mask),
    )


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    return ((values * mask).sum() / mask.sum().clamp(min=1)).detach()
