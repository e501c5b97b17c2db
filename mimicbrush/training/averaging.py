"""Averaged weights (EMA), which previews, evaluation and edits use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.callbacks import StepCallback
from mimicbrush.training.trainable import trained_parameters


class AveragedWeights(StepCallback):
    """Exponential moving average of the trained parameters only.

    Lightning's own callback also copies the frozen networks, which are gigabytes, and saves them twice.
    decay: decay per step; early steps use (1 + step) / (10 + step), so that initial weights are soon forgotten.
    guard: knows the skipped steps, which leave the average unchanged, too.
    """

    def __init__(self, decay: float, guard: BadStepGuard | None = None) -> None:
        super().__init__()
        self.decay = decay
        self.guard = guard
        self.average: dict[str, Tensor] = {}
        self._trained: list[nn.Parameter] = []
        """Trained parameters in the order of `average`, kept because finding them takes milliseconds."""

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        current = trained_parameters(module)
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in current.items()}
        self.average = {name: value.to(module.device) for name, value in self.average.items()}
        self._trained = [current[name] for name in self.average]

    @torch.no_grad()
    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        if self.guard is not None and self.guard.skipped:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), self._trained, 1 - decay)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint["ema"] = self.average

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        self.average = checkpoint["ema"]

    @contextmanager
    def applied(self, module: LightningModule) -> Iterator[None]:
        """Replace the trained weights by the averaged ones for a while."""
        kept = [parameter.data for parameter in self._trained]
        for parameter, value in zip(self._trained, self.average.values(), strict=True):
            parameter.data = value
        try:
            yield
        finally:
            for parameter, value in zip(self._trained, kept, strict=True):
                parameter.data = value
