"""From noise to an edited latent, with classifier-free guidance."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor
from tqdm.auto import tqdm

from mimicbrush.model.network import Conditions, MimicBrushNetwork, PredictionType


def make_scheduler(prediction_type: PredictionType = "epsilon") -> DDIMScheduler:
    """The noise schedule of Stable Diffusion with the release's DDIM settings, used in training and sampling."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


def prediction_target(scheduler: DDIMScheduler, latent: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """What a perfect network would predict: the noise, or the velocity sqrt(a) noise - sqrt(1 - a) latent."""
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(latent, noise, timestep)
    return noise


@torch.no_grad()
def sample(
    network: MimicBrushNetwork,
    conditions: Conditions,
    noise: Tensor,
    *,
    scheduler: SchedulerMixin,
    num_inference_steps: int = 50,
    guidance_scale: float = 5.0,
    progress: bool = False,
) -> Tensor:
    """Denoise B edits together: noise (B, 4, h, w) -> edited latent (B, 4, h, w).

    Guidance: unconditional rows see neither image tokens nor reference; mask, background and shape stay (paper, 4.1).
    A guidance_scale of 1 needs no unconditional rows and computes none.
    """
    guided = guidance_scale != 1
    rows = _with_unconditional(network, conditions) if guided else conditions
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    latent = noise * scheduler.init_noise_sigma
    features = None
    for timestep in tqdm(scheduler.timesteps, disable=not progress, desc="sampling", leave=False):
        if features is None or not network.reference_at_zero:
            features = network.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
        scaled = scheduler.scale_model_input(latent, timestep)
        prediction = network.predict(torch.cat([scaled, scaled]) if guided else scaled, timestep, rows, features)
        if guided:
            conditional, unconditional = prediction.chunk(2)
            prediction = torch.lerp(unconditional, conditional, guidance_scale)
        latent = scheduler.step(prediction, timestep, latent, return_dict=False)[0]
    return latent


def seeded_noise(network: MimicBrushNetwork, seeds: list[int]) -> Tensor:
    """(B, 4, h, w): each row from its own seed, drawn on the CPU, so that a batch gives what single edits give."""
    side = network.size // network.stride
    shape = (network.imitative_unet.config.out_channels, side, side)
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(network.device)


def _with_unconditional(network: MimicBrushNetwork, conditions: Conditions) -> Conditions:
    """Conditional rows first, then the same rows without image tokens; the reference is for the first rows only."""
    doubled = Conditions(*(torch.cat([value, value]) for value in conditions))
    absent = network.absent_tokens().expand_as(conditions.image_tokens)
    return doubled._replace(image_tokens=torch.cat([conditions.image_tokens, absent]))
