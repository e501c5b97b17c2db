"""From noise to an edited latent, with classifier-free guidance."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import diffusers
import torch
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor

from mimicbrush.device import send
from mimicbrush.errors import UserError, first_line
from mimicbrush.model.attention import KeyValue
from mimicbrush.model.config import PredictionType
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.reference_attention import ReferenceFeatures

OnStep = Callable[[int, Tensor, Tensor], Tensor | None]
"""Told the number of a finished step, its latents and what they are predicted to become; returns what takes the
latents' place, if anything."""


def make_scheduler(prediction_type: PredictionType = "epsilon", name: str = "DDIMScheduler") -> SchedulerMixin:
    """A sampler over the noise schedule of Stable Diffusion, on which the network is trained.

    name: a class of diffusers that shares this schedule; DDIMScheduler has the release's settings.
    Raises UserError where there is no such class.
    """
    released = DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    if name == "DDIMScheduler":
        return released
    # Some call themselves compatible and ignore the noise schedule.
    kinds = [kind for kind in released.compatibles if "beta_start" in inspect.signature(kind).parameters]
    names = sorted(kind.__name__ for kind in kinds)
    if name not in names:
        raise UserError(
            f"scheduler {name} is not one of diffusers' for this noise schedule; choose from {', '.join(names)}"
        )
    try:
        return getattr(diffusers, name).from_config(released.config)
    except (ImportError, ValueError) as error:
        raise UserError(f"scheduler {name}: {first_line(error)}") from None


def prediction_target(scheduler: DDIMScheduler, latent: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """What a perfect network would predict: the noise, or the velocity sqrt(a) noise - sqrt(1 - a) latent."""
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(latent, noise, timestep)
    return noise


def predict_original(
    scheduler: SchedulerMixin, prediction: Tensor, seen: Tensor, timestep: Tensor, *, instead: Tensor
) -> Tensor:
    """The latent without noise that a prediction means; `instead` where a scheduler has no such noise schedule.

    seen: the noisy latent as the network is given it. However a sampler scales its own latents, that one is always
    sqrt(a) latent + sqrt(1 - a) noise: few samplers tell what they predict, and this holds for all.
    """
    if not hasattr(scheduler, "alphas_cumprod"):
        return instead
    a = scheduler.alphas_cumprod[round(float(timestep))].item()
    if scheduler.config.prediction_type == "v_prediction":
        return a**0.5 * seen - (1 - a) ** 0.5 * prediction
    return (seen - (1 - a) ** 0.5 * prediction) / a**0.5


@torch.no_grad()
def sample(
    network: MimicBrushNetwork,
    conditions: Conditions,
    noise: Tensor,
    *,
    scheduler: SchedulerMixin,
    num_inference_steps: int,
    guidance_scale: float,
    generators: list[torch.Generator] | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Denoise N samples of each of B edits together: noise (B·N, 4, h, w) -> edited latents, in the same order.

    noise: the samples of one edit side by side; what is known of an edit is computed once for all of them, and the
    features of a reference once for all edits that share it. generators: one per row, for schedulers that add noise on
    the way. on_step: what it raises ends the sampling.
    Guidance: unconditional rows see neither image tokens nor reference; mask, background and shape stay (paper, 4.1).
    A guidance_scale of 1 or less is no guidance, as in diffusers, and computes no unconditional rows.
    """
    if not len(noise) or any(len(noise) % len(value) for value in conditions):
        raise ValueError(f"{len(noise)} rows of noise for {len(conditions.mask)} edits; expected a multiple")
    guided = guidance_scale > 1
    rows = Conditions(*(_repeat(value, len(noise) // len(value)) for value in conditions))
    rows = _with_unconditional(network, rows) if guided else rows
    _set_timesteps(scheduler, num_inference_steps)
    timesteps = send(scheduler.timesteps, noise.device)
    noisy_step = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latent, features = noise * scheduler.init_noise_sigma, None
    for step, timestep in enumerate(scheduler.timesteps):
        device_timestep = timesteps[step]
        if features is None or network.options.reference_timestep == "current":
            features = network.reference_features(conditions.reference_latent, device_timestep, conditions.image_tokens)
            features = repeat_features(features, len(noise) // len(conditions.reference_latent))
        scaled = scheduler.scale_model_input(latent, timestep)
        scaled = torch.cat([scaled, scaled]) if guided else scaled
        prediction = network.predict(scaled, device_timestep, rows, features, twins=guided)
        if guided:
            conditional, unconditional = prediction.chunk(2)
            prediction = torch.lerp(unconditional, conditional, guidance_scale)
        seen = scaled[: len(latent)]
        latent = scheduler.step(prediction, timestep, latent, **noisy_step, return_dict=False)[0]
        if on_step is not None:
            replaced = on_step(step, latent, predict_original(scheduler, prediction, seen, timestep, instead=latent))
            latent = latent if replaced is None else replaced
    return latent


def seeded_generators(seeds: list[int]) -> list[torch.Generator]:
    """On the CPU, one per row, so that a batch gives what single edits give, on every device."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw_noise(network: MimicBrushNetwork, generators: list[torch.Generator]) -> Tensor:
    """(B, 4, h, w): each row from its generator; rows that share one draw from it in turn."""
    side = network.size // network.stride
    shape = (network.imitative_unet.config.out_channels, side, side)
    rows = [torch.randn(shape, generator=generator, device=generator.device) for generator in generators]
    return send(torch.stack(rows), network.device)


def _with_unconditional(network: MimicBrushNetwork, conditions: Conditions) -> Conditions:
    """Conditional rows first, then the same rows without image tokens; the reference is for the first rows only."""
    doubled = Conditions(*(torch.cat([value, value]) for value in conditions))
    absent = network.absent_tokens().expand_as(conditions.image_tokens)
    return doubled._replace(image_tokens=torch.cat([conditions.image_tokens, absent]))


def _set_timesteps(scheduler: SchedulerMixin, num_inference_steps: int) -> None:
    """On the CPU: schedulers look up and compare timesteps, for which the host would wait in each step."""
    try:
        scheduler.set_timesteps(num_inference_steps, device="cpu")
    except ValueError as error:  # some need several steps to begin with
        name = type(scheduler).__name__
        raise UserError(f"{name} cannot sample in {num_inference_steps} steps ({error}); take more steps") from None


def _repeat(rows: Tensor, num: int) -> Tensor:
    """Each row `num` times, side by side."""
    return rows if num == 1 else rows.repeat_interleave(num, dim=0)


def repeat_features(features: ReferenceFeatures, num: int) -> ReferenceFeatures:
    """Those of each reference `num` times, side by side: for so many samples."""
    return {name: KeyValue(*(_repeat(states, num) for states in pair)) for name, pair in features.items()}
