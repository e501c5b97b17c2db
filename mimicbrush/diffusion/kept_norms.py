"""Decoding with the group norms of another picture, so that a change in one place leaves the others as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from mimicbrush.diffusion.latents import decode_unclamped


class NormStatistics(NamedTuple):
    """Statistics by which a group norm normalises, (B, groups) each."""

    mean: Tensor
    variance: Tensor


@torch.no_grad()
def decode_with_norms_of(vae: AutoencoderKL, latents: Tensor, other: Tensor) -> Tensor:
    """Decode latents (B, C, h, w) with the means and variances that group norms find in the others: (B, 3, H, W).

    Group norms see the whole picture: with their own statistics, a change in one place would change all pixels. With
    those of the unchanged latents, pixels beyond the reach of the decoder's convolutions are exactly those that the
    others decode to. Attention in the decoder still sees the whole picture.
    """
    norms = [module for module in vae.decoder.modules() if isinstance(module, nn.GroupNorm)]
    found: list[NormStatistics] = []
    with _after(norms, lambda norm, features, _: found.append(_statistics(norm, features))):
        decode_unclamped(vae, other)
    found.reverse()
    with _after(norms, lambda norm, features, _: _normalised(norm, features, found.pop())):
        return decode_unclamped(vae, latents)


@contextmanager
def _after(norms: list[nn.GroupNorm], hook: Callable[[nn.GroupNorm, Tensor, Tensor], Tensor | None]) -> Iterator[None]:
    """Within the block, call the hook with each norm, its input and its output, which the hook may replace."""
    handles = [norm.register_forward_hook(lambda norm, inputs, output: hook(norm, inputs[0], output)) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _statistics(norm: nn.GroupNorm, features: Tensor) -> NormStatistics:
    variance, mean = torch.var_mean(_grouped(norm, features), dim=2, correction=0)
    return NormStatistics(mean, variance)


def _normalised(norm: nn.GroupNorm, features: Tensor, kept: NormStatistics) -> Tensor:
    centred = _grouped(norm, features) - kept.mean[..., None]
    scaled = centred * (kept.variance[..., None] + norm.eps).rsqrt()
    weight, bias = (each.view(1, -1, *[1] * (features.ndim - 2)) for each in (norm.weight, norm.bias))
    return (scaled.view(features.shape) * weight + bias).to(features.dtype)


def _grouped(norm: nn.GroupNorm, features: Tensor) -> Tensor:
    """Features (B, C, ...) as (B, groups, N), in float32."""
    return features.float().reshape(len(features), norm.num_groups, -1)
