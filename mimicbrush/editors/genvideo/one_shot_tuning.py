"""One-shot tuning: the inflated U-Net learns one clip (Tune-A-Video, with Make-A-Protagonist's image embeddings)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.diffusion.config import PredictionType
from mimicbrush.diffusion.ddim import noise_of
from mimicbrush.editors.genvideo.clip_denoiser import ClipDenoiser
from mimicbrush.editors.genvideo.inflation import tuned_parameters
from mimicbrush.errors import UserError
from mimicbrush.hub.unclip_parts import image_condition
from mimicbrush.run_state import RunState, undisturbed
from mimicbrush.seeds import seed_of

OnTuningStep = Callable[[int], None]
"""Receives the number of finished steps."""


class TunedClip(NamedTuple):
    """A clip as tuning sees it."""

    latents: Tensor
    """(T, C, h, w)"""
    embeddings: Tensor
    """(T, d), image embeddings of the frames."""
    tokens: Tensor
    """(1, N, D), of the source prompt."""


class TuningDraws(NamedTuple):
    """Random choices of one step."""

    first_frame: int
    timestep: int
    image_frame: int
    noise_level: int
    has_image: bool
    generator: torch.Generator
    """For the noise of latents and of the image embedding."""


class ClipTuning:
    """One tuning: the trained weights, the optimiser, and the losses of the steps so far.

    The U-Net's tuned weights are changed in place.
    """

    def __init__(self, denoiser: ClipDenoiser, clip: TunedClip) -> None:
        self.denoiser = denoiser
        self.clip = clip
        self.settings = denoiser.settings.tuning
        self.weights = tuned_parameters(denoiser.unet)
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        # In float16, gradients vanish unless the loss is scaled.
        self.scaler = torch.amp.GradScaler(denoiser.device.type, enabled=denoiser.dtype == torch.float16)
        self.losses: list[float] = []

    @property
    def num_remaining(self) -> int:
        return max(0, self.settings.num_steps - len(self.losses))

    @property
    def is_finished(self) -> bool:
        return self.num_remaining == 0

    def run(self, on_step: OnTuningStep, state: RunState | None = None) -> None:
        """Run the remaining steps; the state is written now and then, and whenever the run ends or is stopped."""
        unet = self.denoiser.unet
        if self.settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        try:
            while not self.is_finished:
                self.run_step(self.draw(len(self.losses)))
                on_step(len(self.losses))
                if state and state.is_due:
                    self._write(state)
        finally:
            unet.disable_gradient_checkpointing()
            if state:
                self._write(state)

    def draw(self, step: int) -> TuningDraws:
        """Draw the choices of a step, which depend on its number and the seed alone."""
        generator = torch.Generator().manual_seed(seed_of(self.settings.seed, "tuning", step))
        num_frames = len(self.clip.latents)

        def below(limit: int) -> int:
            return int(torch.randint(limit, (), generator=generator))

        return TuningDraws(
            first_frame=below(max(num_frames - self.denoiser.settings.window, 0) + 1),
            timestep=below(self.denoiser.schedule.num_train_timesteps),
            image_frame=below(num_frames),
            noise_level=below(self.settings.max_noise_level + 1),
            has_image=float(torch.rand((), generator=generator)) >= self.settings.image_drop_prob,
            generator=generator,
        )

    def loss(self, draws: TuningDraws) -> Tensor:
        """Mean squared error of the prediction for a window of the clip."""
        denoiser, clip = self.denoiser, self.clip
        latents = clip.latents[draws.first_frame : draws.first_frame + denoiser.settings.window]
        num_frames, alpha = len(latents), denoiser.shares[draws.timestep]
        noise = torch.randn(latents.shape, generator=draws.generator).to(latents)
        noisy = alpha**0.5 * latents + (1 - alpha) ** 0.5 * noise
        embedding = clip.embeddings[draws.image_frame, None]
        classes = image_condition(
            denoiser.parts, embedding, noise_level=draws.noise_level, generator=draws.generator
        ) * float(draws.has_image)
        prediction = denoiser.run_unet(
            noisy,
            draws.timestep,
            clip.tokens.expand(num_frames, -1, -1),
            classes.expand(num_frames, -1),
            num_frames,
        )
        target = training_target(latents, noise, alpha, denoiser.schedule.prediction_type)
        return F.mse_loss(prediction, target)

    def run_step(self, draws: TuningDraws) -> None:
        loss = self.loss(draws)
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value} at tuning step {len(self.losses) + 1}; lower tuning.learning_rate, or compute in"
                " float32"
            )
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), self.settings.max_gradient_norm)
        with undisturbed():
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.losses.append(value)

    @torch.no_grad()
    def reconstruct(self, window: range, classes: Tensor) -> Tensor:
        """The window's latents as they are predicted from half the noise, for a picture of the progress."""
        denoiser, latents = self.denoiser, self.clip.latents[window.start : window.stop]
        timestep = denoiser.schedule.num_train_timesteps // 2
        alpha = denoiser.shares[timestep]
        generator = torch.Generator().manual_seed(seed_of(self.settings.seed, "tuning preview"))
        noisy = alpha**0.5 * latents + (1 - alpha) ** 0.5 * torch.randn(latents.shape, generator=generator).to(latents)
        tokens = self.clip.tokens.expand(len(latents), -1, -1)
        rows = classes.expand(len(latents), -1)
        prediction = denoiser.run_unet(noisy, timestep, tokens, rows, len(latents))
        noise = noise_of(prediction, noisy, alpha, denoiser.schedule.prediction_type)
        return (noisy - (1 - alpha) ** 0.5 * noise) / alpha**0.5

    def state_dict(self) -> dict:
        """The state; once tuning is finished, without the optimiser's part."""
        state = {"weights": {name: weight.detach() for name, weight in self.weights.items()}, "losses": self.losses}
        if self.is_finished:
            return state
        return state | {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        self.losses = list(state["losses"])
        if not self.is_finished:
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])

    def _write(self, state: RunState) -> None:
        """Write the state, unless a step has spoiled the weights: then the last good one is kept."""
        if all(weight.isfinite().all() for weight in self.weights.values()):
            state.write(self.state_dict())


def training_target(latents: Tensor, noise: Tensor, alpha: float, prediction_type: PredictionType) -> Tensor:
    """The output of a perfect network: the noise, or the velocity."""
    if prediction_type == "v_prediction":
        return alpha**0.5 * noise - (1 - alpha) ** 0.5 * latents
    return noise
