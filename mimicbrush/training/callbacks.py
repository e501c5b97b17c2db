"""Shared by callbacks: one call for each optimiser step, and the evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning import Callback, LightningModule, Trainer


class StepCallback(Callback):
    """Calls `on_step` once for each optimiser step, however many batches are accumulated for it."""

    def __init__(self) -> None:
        self.steps_seen = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.steps_seen = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args) -> None:
        if trainer.global_step > self.steps_seen:
            self.steps_seen = trainer.global_step
            self.on_step(trainer, module, self.steps_seen)

    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        """Called after each optimiser step; `step` counts from 1."""
        raise NotImplementedError


@contextmanager
def evaluating(module: LightningModule) -> Iterator[None]:
    """Put the module into evaluation mode for a while."""
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        # In the precision of training, which adapters over weights in half precision need.
        # Uncompiled: other batches than training's would be compiled anew, on one rank while the others wait.
        with module.trainer.precision_plugin.forward_context(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for part in was_training:
            part.training = True
