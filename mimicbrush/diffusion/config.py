"""Noise schedules by their numbers, and limits of sampling; this module does not import torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from mimicbrush.errors import Faults

PredictionType = Literal["epsilon", "v_prediction"]
"""Output of a network. epsilon: the noise; v_prediction: the velocity sqrt(a) noise - sqrt(1 - a) latent."""

BetaSchedule = Literal["scaled_linear", "linear", "squaredcos_cap_v2"]
"""Course of the noise variances, in diffusers' words: linear, linear in their square roots (Stable Diffusion), or
cosine."""

Spacing = Literal["even", "released"]
"""Timesteps of N steps. even: exactly N, spread over all levels; released: every (T // N)-th, which makes more than N
steps where N does not divide T, as in Stable Diffusion's own code. The two are equal where N divides T."""

KeptBackground = Literal["trajectory", "original", "none"]
"""How a step keeps the source outside the mask. trajectory: by the latents of the source's inversion; original: by the
source's own latents in place of the original that the step predicts; none: not at all."""

TimestepSpacing = Literal["leading", "trailing", "linspace"]
"""Timesteps of a sampler in diffusers' words: leading stays below the noisiest level (the release), trailing begins
with it (better with few steps, arXiv 2305.08891), linspace has both ends."""

DDIM = "DDIMScheduler"
"""The release's sampler, a class of diffusers."""
CONSISTENCY_SAMPLER = "LCMScheduler"
"""Sampler of networks that others distilled as latent consistency models (arXiv 2310.04378, algorithm 3), a class of
diffusers."""

MAX_STEPS = 1000
"""Largest number of sampling steps: the length of the noise schedule. A sampler may allow fewer."""
MAX_GUIDANCE = 100
"""Largest guidance scale. It is far beyond useful values; more gives pictures of noise."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """A noise schedule, with the field names of diffusers' schedulers; the defaults are Stable Diffusion's."""

    num_train_timesteps: int = 1000
    """Number of noise levels."""
    beta_start: float = 0.00085
    """Variance of the noise that the first level adds."""
    beta_end: float = 0.012
    """Variance of the noise that the last level adds."""
    beta_schedule: BetaSchedule = "scaled_linear"
    """Course of the variances between the two; the cosine schedule does without them."""
    prediction_type: PredictionType = "epsilon"
    """Output of the network."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            self.num_train_timesteps >= 1, f"num_train_timesteps is {self.num_train_timesteps}, expected at least 1"
        )
        faults.check(
            0 < self.beta_start <= self.beta_end < 1,
            f"beta_start and beta_end are {self.beta_start:g} and {self.beta_end:g}, expected 0 < start <= end < 1",
        )
        for name, kind in (("beta_schedule", BetaSchedule), ("prediction_type", PredictionType)):
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        faults.refuse()

    def as_options(self) -> dict[str, object]:
        """The fields as options of diffusers' schedulers."""
        return asdict(self)


def check_sampling(*, num_inference_steps: int, guidance_scale: float, max_steps: int = MAX_STEPS) -> None:
    """Raise UserError, naming each number that is outside its limits."""
    faults = Faults()
    faults.check(
        1 <= num_inference_steps <= max_steps,
        f"num_inference_steps is {num_inference_steps}, expected 1 to {max_steps}",
    )
    faults.check(
        0 <= guidance_scale <= MAX_GUIDANCE, f"guidance_scale is {guidance_scale:g}, expected 0 to {MAX_GUIDANCE}"
    )
    faults.refuse()


def check_frame_sampling(
    *,
    feature_block: int,
    correction_steps: int,
    correction_weights: tuple[float, float, float],
    correction_chunk: int,
    background: KeptBackground,
) -> None:
    """Raise UserError, naming each number that frames cannot be sampled with (`frame_sampling.py`)."""
    faults = Faults()
    for name, value in (("feature_block", feature_block), ("correction_steps", correction_steps)):
        faults.check(value >= 0, f"{name} is {value}, expected 0 or more")
    faults.check(correction_chunk >= 1, f"correction_chunk is {correction_chunk}, expected at least 1")
    weights = correction_weights
    faults.check(
        len(weights) == 3 and min(weights) >= 0 and abs(sum(weights) - 1) < 1e-6,
        f"correction_weights are {weights}, expected three from 0 on whose sum is 1",
    )
    allowed = get_args(KeptBackground)
    faults.check(background in allowed, f"background is {background}, expected one of {', '.join(allowed)}")
    faults.refuse()
