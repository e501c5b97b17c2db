"""Schedulers of diffusers by name, the target of their networks, and the original that a prediction implies."""

from __future__ import annotations

import inspect

import diffusers
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor

from mimicbrush.diffusion.config import (
    CONSISTENCY_SAMPLER,
    DDIM,
    PredictionType,
    ScheduleConfig,
    TimestepSpacing,
)
from mimicbrush.errors import UserError, first_line

ZERO_SNR = "rescale_betas_zero_snr"
"""Option of diffusers' schedulers: the last noise level holds no signal at all (arXiv 2305.08891)."""


def make_scheduler(
    prediction_type: PredictionType = "epsilon",
    name: str = DDIM,
    *,
    timestep_spacing: TimestepSpacing = "leading",
) -> SchedulerMixin:
    """Make a sampler with the noise schedule of Stable Diffusion, on which the network is trained.

    name: a class of diffusers that shares this schedule; DDIMScheduler has the release's settings. timestep_spacing: as
    diffusers names it; the release's is leading. Raises UserError where there is no such class.
    """
    schedule = ScheduleConfig(prediction_type=prediction_type)
    released = DDIMScheduler(
        **schedule.as_options(),
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing=timestep_spacing,
    )
    return released if name == DDIM else like_scheduler(released, name)


def like_scheduler(scheduler: SchedulerMixin, name: str, **changes: object) -> SchedulerMixin:
    """Make another sampler with the noise schedule of this one.

    name: a class of diffusers; changes: fields of its config. Raises UserError where it does not share this schedule.
    """
    # Some schedulers claim to be compatible but ignore the noise schedule.
    kinds = [kind for kind in DDIMScheduler().compatibles if "beta_start" in inspect.signature(kind).parameters]
    # diffusers does not list it, though it shares the schedule: it is for consistency models alone.
    names = sorted({*(kind.__name__ for kind in kinds), CONSISTENCY_SAMPLER})
    if name not in names:
        raise UserError(
            f"scheduler {name} is not one of diffusers' for this noise schedule; choose from {', '.join(names)}"
        )
    kind = getattr(diffusers, name)
    if scheduler.config.get(ZERO_SNR) and ZERO_SNR not in inspect.signature(kind).parameters:
        raise UserError(
            f"scheduler {name} cannot start from noise alone, as these weights were trained ({ZERO_SNR}); take"
            " DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler or EulerDiscreteScheduler"
        )
    try:
        return kind.from_config(scheduler.config, **changes)
    except (ImportError, ValueError) as error:
        raise UserError(f"scheduler {name}: {first_line(error)}") from None


def prediction_target(scheduler: DDIMScheduler, latent: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """Return the output of a perfect network: the noise, or the velocity sqrt(a) noise - sqrt(1 - a) latent."""
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(latent, noise, timestep)
    return noise


def predict_original(
    scheduler: SchedulerMixin, prediction: Tensor, noisy: Tensor, timestep: Tensor, *, default: Tensor
) -> Tensor:
    """Compute the latent without noise from a prediction; `default` if the scheduler has no such noise schedule.

    noisy: the input of the network. However a scheduler scales its own latents, this one is always
    sqrt(a) latent + sqrt(1 - a) noise. Only few schedulers return what they predict.
    """
    if not hasattr(scheduler, "alphas_cumprod"):
        return default
    a = scheduler.alphas_cumprod[round(float(timestep))].item()
    if scheduler.config.prediction_type == "v_prediction":
        return a**0.5 * noisy - (1 - a) ** 0.5 * prediction
    return (noisy - (1 - a) ** 0.5 * prediction) / a**0.5


def set_timesteps(scheduler: SchedulerMixin, num_inference_steps: int) -> None:
    """Keep timesteps on the CPU, where schedulers look them up; on a GPU the host would wait in each step."""
    try:
        scheduler.set_timesteps(num_inference_steps, device="cpu")
    except ValueError as error:  # some schedulers need several steps
        name = type(scheduler).__name__
        raise UserError(f"{name} cannot sample in {num_inference_steps} steps ({error}); take another number") from None
