"""What callbacks share: one call for each optimiser step."""

from __future__ import annotations

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
        """step: counts from 1."""
        raise NotImplementedError
