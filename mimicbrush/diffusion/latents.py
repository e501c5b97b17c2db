"""Latents of an autoencoder without randomness, scaled as diffusion models expect them, and back."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor


@torch.no_grad()
def encode_mean(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Encode pictures (B, 3, H, W) in [0, 1] as the means of their posteriors, scaled, in float32."""
    mean = vae.encode((pictures * 2 - 1).to(vae.dtype)).latent_dist.mean
    return mean.float() * vae.config.scaling_factor


def decode_unclamped(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Decode latents to pictures (B, 3, H, W) that may leave [0, 1]; differentiable."""
    return vae.decode((latents / vae.config.scaling_factor).to(vae.dtype)).sample.float() / 2 + 0.5
