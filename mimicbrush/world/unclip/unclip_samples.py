"""Sample pictures from captions, from pictures, or from both, and reconstruct pictures by DDIM inversion."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.ddim import PredictNoise, ddim_steps, invert, noise_of, signal_shares
from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.diffusion.seeded_noise import draw_rows, seeded_generators
from mimicbrush.hub.unclip_parts import UnclipParts, embed_prompts


@torch.no_grad()
def sample_pictures(
    parts: UnclipParts, captions: list[str], classes: Tensor, *, num_steps: int, guidance_scale: float, seed: int
) -> Tensor:
    """Sample pictures (B, 3, H, W) in [0, 1] by DDIM with classifier-free guidance.

    captions: empty for none; classes: (B, 2d), zeros for none; the n-th picture starts from the noise of seed + n.
    """
    size, channels = parts.unet.config.sample_size, parts.unet.config.in_channels
    latents = draw_rows((channels, size, size), seeded_generators([seed + row for row in range(len(captions))]))
    predict = _guided(parts, captions, classes, guidance_scale)
    for step in ddim_steps(parts.schedule, num_steps):
        latents = step.denoise(latents, predict(latents, step.timestep), torch.zeros_like(latents))
    return decode_unclamped(parts.vae, latents).clamp(0, 1)


@torch.no_grad()
def reconstruct_pictures(parts: UnclipParts, pictures: Tensor, *, num_steps: int, refinements: int) -> Tensor:
    """Invert pictures (B, 3, H, W) in [0, 1] by DDIM without conditions, and generate them again from that noise."""
    absent = torch.zeros(len(pictures), parts.unet.config.projection_class_embeddings_input_dim)
    predict, steps = _guided(parts, [""] * len(pictures), absent, 1.0), ddim_steps(parts.schedule, num_steps)
    latents = invert(encode_mean(parts.vae, pictures), predict, steps, refinements=refinements)[0]
    for step in steps:
        latents = step.denoise(latents, predict(latents, step.timestep), torch.zeros_like(latents))
    return decode_unclamped(parts.vae, latents).clamp(0, 1)


def _guided(parts: UnclipParts, captions: list[str], classes: Tensor, guidance_scale: float) -> PredictNoise:
    """Predict noise, guided away from absent conditions; a scale of 1 needs no second row for each picture."""
    shares, kind = signal_shares(parts.schedule), parts.schedule.prediction_type
    tokens = embed_prompts(parts, captions)
    is_guided = guidance_scale != 1
    if is_guided:
        tokens = torch.cat([embed_prompts(parts, [""] * len(captions)), tokens])
        classes = torch.cat([torch.zeros_like(classes), classes])

    def predict(latents: Tensor, timestep: int) -> Tensor:
        rows = torch.cat([latents, latents]) if is_guided else latents
        noise = noise_of(parts.unet(rows, timestep, tokens, class_labels=classes).sample, rows, shares[timestep], kind)
        if not is_guided:
            return noise
        absent, present = noise.chunk(2)
        return absent + guidance_scale * (present - absent)

    return predict
