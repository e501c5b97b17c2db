"""Train on one batch only, as a test: a sound network learns it by heart."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.decode import PairBatch
from mimicbrush.pictures.writing import write_image
from mimicbrush.training.callbacks import evaluating
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.previews import preview_editor, preview_sheet

MAX_REMAINING_LOSS = 1 / 3
"""A batch is learned by heart if the loss falls below this share of its first value."""
NUM_SHOWN = 6


class LossDrop(NamedTuple):
    """Mean losses of the first and the last tenth of the steps."""

    first: float
    last: float

    @property
    def is_learned(self) -> bool:
        return self.last < MAX_REMAINING_LOSS * self.first

    def describe(self) -> str:
        """Describe the drop in one sentence, with a remedy."""
        facts = f"the loss on one batch fell from {self.first:.3f} to {self.last:.3f} ({self.last / self.first:.0%})"
        if self.is_learned:
            return f"{facts}: learned by heart"
        return (
            f"{facts}: not learned by heart, which takes {MAX_REMAINING_LOSS:.0%}; take more steps or another learning"
            " rate"
        )


def loss_drop(losses: list[float]) -> LossDrop:
    """Compute the drop from the losses of all steps, in order."""
    tenth = max(1, len(losses) // 10)
    return LossDrop(sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth)


class Overfit(Callback):
    """Reports at the end how far the loss fell, and writes overfit.png, the batch beside the network's edits."""

    def __init__(self, folder: Path, *, num_inference_steps: int) -> None:
        self.path = folder / "overfit.png"
        self.num_inference_steps = num_inference_steps
        self.losses: list[Tensor] = []
        self.pairs: PairBatch | None = None

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs, pairs, batch_idx: int) -> None:
        self.losses.append(outputs["whole"].mean())
        self.pairs = pairs

    def on_train_end(self, trainer: Trainer, module: MimicBrushModule) -> None:
        if trainer.global_step < trainer.max_steps or not trainer.is_global_zero:
            return
        trainer.print(f"{loss_drop(torch.stack(self.losses).tolist()).describe()} -> {self.path}")
        batch = move_data_to_device(module.draw_batch(self.pairs), torch.device("cpu"))
        shown = InpaintingBatch(*(column[:NUM_SHOWN] for column in batch))
        # Not the averaged weights, which lag behind in such a short run.
        with evaluating(module):
            editor = preview_editor(module, self.num_inference_steps, guidance_scale=1.0)
            write_image(preview_sheet(editor, shown), self.path)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint["overfit"] = torch.stack(self.losses)

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        self.losses = list(checkpoint["overfit"])
