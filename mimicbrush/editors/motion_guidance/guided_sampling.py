"""Sampling that is guided by an energy, with recursion, clipping and replacement (paper, section 3, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep, PredictNoise
from mimicbrush.editors.motion_guidance.energy import EnergyTerms

Decode = Callable[[Tensor], Tensor]
"""Latents (1, C, h, w) to pictures (1, 3, H, W) in [0, 1], unclamped and differentiable."""
Energy = Callable[[Tensor], EnergyTerms]
"""Energy of a picture."""
OnGuidedStep = Callable[[int, "GuidedStep"], None]
"""Receives the number of a finished step, from 0, and its last recursion."""


class KnownLatents(Protocol):
    """Latents of what is kept: called with the number of a step and the step, before each recursion."""

    def __call__(self, number: int, step: DdimStep, /) -> Tensor: ...


class GuidanceRules(NamedTuple):
    """Numbers of the guidance."""

    weight: float
    """Weight of the energy's gradient."""
    factors: Sequence[float]
    """Factor of the weight in each step; 0: the energy is not computed."""
    clip: float
    """Largest norm of the guidance, over the whole latent; 0: no limit."""
    num_recursions: int
    """How often each guided step is taken."""
    num_unguided_recursions: int
    """How often the others are."""


class GuidedStep(NamedTuple):
    """Results of one recursion of one step."""

    noisy: Tensor
    """Input of the network, after replacement."""
    noise: Tensor
    """Predicted noise, with classifier-free guidance and without guidance by motion."""
    original: Tensor
    """Latent without noise that it implies."""
    energy: EnergyTerms | None
    """Energy of the picture that it decodes to; None in steps that are not guided."""
    gradient: Tensor | None
    """Gradient of the energy by `noisy`, before weight, factor and clipping."""
    guidance: Tensor | None
    """Change of the noise; None likewise."""
    guided_noise: Tensor
    """Noise with guidance."""
    previous: Tensor
    """Latent at the next level."""


class GuidedSampler:
    """Denoises one latent (1, C, h, w), guided by an energy."""

    def __init__(
        self,
        predict_noise: PredictNoise,
        decode: Decode,
        *,
        energy: Energy,
        steps: list[DdimStep],
        rules: GuidanceRules,
    ) -> None:
        self.predict_noise = predict_noise
        self.decode = decode
        self.energy = energy
        self.steps = steps
        self.rules = rules

    def sample(
        self,
        start: Tensor,
        *,
        may_change: Tensor,
        known: KnownLatents,
        draw: Callable[[], Tensor],
        on_step: OnGuidedStep | None = None,
    ) -> Tensor:
        """Denoise from the noisiest step; returns the latent after the last step.

        may_change: (1, 1 or C, h, w), 1 where the latent may change; draw: noise of the latent's shape. Noise is drawn
        in the release's order: for the known latents, if they need any, then for the step and for the recursion.
        """
        latent = start
        for number, step in enumerate(self.steps):
            for _ in range(self.num_recursions(number)):
                latent = torch.where(may_change > 0.5, latent, known(number, step))
                result = self.take_step(number, latent, fresh=draw())
                latent = step.renoise(result.previous, draw())
            latent = result.previous
            if on_step is not None:
                on_step(number, result)
        return latent

    def num_recursions(self, number: int) -> int:
        """How often a step is taken."""
        return self.rules.num_recursions if self.is_guided(number) else self.rules.num_unguided_recursions

    def is_guided(self, number: int) -> bool:
        """Whether motion guides a step; otherwise nothing is decoded, and no flow estimated."""
        return self.rules.factors[number] > 0 and self.rules.weight > 0

    def take_step(self, number: int, noisy: Tensor, *, fresh: Tensor) -> GuidedStep:
        """Take a step once, from a latent whose known part is already replaced."""
        step = self.steps[number]
        if not self.is_guided(number):
            with torch.no_grad():
                noise = self.predict_noise(noisy, step.timestep)
            original, previous = step.original(noisy, noise), step.denoise(noisy, noise, fresh)
            return GuidedStep(noisy, noise, original, None, None, None, noise, previous)
        with torch.enable_grad():
            leaf = noisy.detach().clone().requires_grad_()
            noise = self.predict_noise(leaf, step.timestep)
            original = step.original(leaf, noise)
            energy = self.energy(self.decode(original))
            (gradient,) = torch.autograd.grad(energy.total, leaf)
        noise, original = noise.detach(), original.detach()
        # The factor sqrt(1 - a) is the release's, for which its weights are tuned.
        guidance = (1 - step.alpha) ** 0.5 * self.rules.weight * self.rules.factors[number] * gradient
        norm = float(guidance.norm())
        if 0 < self.rules.clip < norm:
            guidance = guidance * (self.rules.clip / norm)
        guided = noise + guidance
        terms = EnergyTerms(*(term.detach() for term in energy))
        return GuidedStep(noisy, noise, original, terms, gradient, guidance, guided, step.denoise(noisy, guided, fresh))
