"""What a person looks at on the way: edits of held-out pairs, and whether the network uses its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.imaging import blacken, write_image
from mimicbrush.model.reference_use import measure_reference_use
from mimicbrush.requests import ReferenceRequest
from mimicbrush.training.averaging import AveragedWeights
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.records import forget_after, read_records, write_records
from mimicbrush.training.steps import StepCallback

PREVIEW_GUIDANCE = 2.0
"""Small, so that young weights show what they know rather than its exaggeration."""


class Previews(StepCallback):
    """Edits of a few held-out pairs every so many steps, with fixed masks and seeds: a picture file each time."""

    def __init__(
        self, folder: Path, batch: InpaintingBatch, averaged: AveragedWeights, *, every: int, num_inference_steps: int
    ) -> None:
        super().__init__()
        self.folder = folder
        self.batch = batch
        self.averaged = averaged
        self.every = every
        self.num_inference_steps = num_inference_steps

    def on_step(self, trainer: Trainer, module: MimicBrushModule, step: int) -> None:
        if trainer.is_global_zero and (step % self.every == 0 or step == trainer.max_steps):
            with self.averaged.applied(module), evaluating(module):
                editor = MimicBrushEditor(
                    module.network, num_inference_steps=self.num_inference_steps, guidance_scale=PREVIEW_GUIDANCE
                )
                write_image(preview_sheet(editor, self.batch), self.folder / f"step-{step:07d}.png")


class ReferenceUse(StepCallback):
    """Measures reference use on held-out pairs every so many steps, with the averaged weights; a line of a CSV each."""

    def __init__(
        self, folder: Path, batches: Sequence[InpaintingBatch], averaged: AveragedWeights, *, every: int
    ) -> None:
        super().__init__()
        self.path = folder / "reference_use.csv"
        self.batches = batches
        self.averaged = averaged
        self.every = every

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        forget_after(trainer, self.path)

    def on_step(self, trainer: Trainer, module: MimicBrushModule, step: int) -> None:
        if trainer.is_global_zero and step % self.every == 0:
            with self.averaged.applied(module), evaluating(module):
                shares = measure_reference_use(module.network, self.batches, progress=True)
            row = {"step": step, **{name: share.mean for name, share in shares.items()}}
            write_records([*read_records(self.path), row], self.path)
            for logger in trainer.loggers:
                logger.log_metrics({f"reference use / {name}": share.mean for name, share in shares.items()}, step=step)


@contextmanager
def evaluating(module: LightningModule) -> Iterator[None]:
    """The module in eval mode."""
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        # In the precision of training, which adapters over weights in half precision need.
        with module.trainer.precision_plugin.forward_context():
            yield
    finally:
        for part in was_training:
            part.training = True


def preview_sheet(editor: MimicBrushEditor, batch: InpaintingBatch) -> Tensor:
    """(3, H, W): a row a pair: masked source, reference, edited without and with the shape map, truth."""
    pairs = list(zip(batch.source, batch.mask, batch.reference, strict=True))
    columns = [blacken(batch.source, batch.mask), batch.reference]
    for keep_shape in (False, True):
        requests = [
            ReferenceRequest(source=source[None], mask=mask[None], reference=reference, keep_shape=keep_shape)
            for source, mask, reference in pairs
        ]
        columns.append(torch.cat(editor.edit_batch(requests)))
    rows = torch.cat([*columns, batch.source], dim=3)
    return torch.cat(list(rows), dim=1)
