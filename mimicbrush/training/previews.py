"""Callbacks that edit held-out pairs during training, and measure how much the network uses its reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from PIL import Image

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.diffusion.config import DDIM
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.model.reference_use import measure_reference_use
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.geometry import blacken
from mimicbrush.pictures.writing import write_image
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.requests import ReferenceRequest
from mimicbrush.training.averaging import AveragedWeights
from mimicbrush.training.callbacks import StepCallback, evaluating
from mimicbrush.training.curves import draw_reference_use
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.records import append_record, forget_after, read_records

PREVIEW_GUIDANCE = 2.0
"""Guidance scale of previews; small, because guidance exaggerates the errors of early weights."""
COLUMNS = ("masked source", "reference", "edited", "edited, shape kept", "truth")
"""Titles of the columns of a preview."""


class Previews(StepCallback):
    """Edits a few held-out pairs every so many steps, with fixed masks and seeds, and writes a picture file.

    The first rank makes them, with the averaged weights and its own generators; the others wait at their next exchange
    of gradients.
    """

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
            module.print(f"step {step}: editing {len(self.batch.source)} held-out pairs for a preview", file=sys.stderr)
            with self.averaged.applied(module), evaluating(module):
                sheet = preview_sheet(preview_editor(module, self.num_inference_steps), self.batch)
            write_image(sheet, self.folder / f"step-{step:07d}.png")
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image("previews", [sheet], step=step)


class ReferenceUse(StepCallback):
    """Measures reference use on held-out pairs every so many steps, with the averaged weights, into a CSV file.

    A resumed run drops the lines after its checkpoint.
    """

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
            num_pairs = sum(len(batch.source) for batch in self.batches)
            module.print(f"step {step}: measuring reference use on {num_pairs} held-out pairs", file=sys.stderr)
            with self.averaged.applied(module), evaluating(module):
                shares = measure_reference_use(module.network, self.batches)
            append_record({"step": step, **{name: share.mean for name, share in shares.items()}}, self.path)
            draw_reference_use(read_records(self.path), self.path.with_suffix(".png"))
            for logger in trainer.loggers:
                logger.log_metrics({f"reference use / {name}": share.mean for name, share in shares.items()}, step=step)


def preview_editor(
    module: MimicBrushModule, num_inference_steps: int, guidance_scale: float = PREVIEW_GUIDANCE
) -> MimicBrushEditor:
    """Make an editor of the module's network; one that is distilled for few steps has its own settings."""
    if module.recipe.few_steps is not None:
        return MimicBrushEditor(module.network)
    return MimicBrushEditor(
        module.network, scheduler=DDIM, num_inference_steps=num_inference_steps, guidance_scale=guidance_scale
    )


def preview_sheet(editor: MimicBrushEditor, batch: InpaintingBatch) -> Image.Image:
    """Edit a batch and show one row for each pair, with COLUMNS side by side under their titles."""
    pairs = list(zip(batch.source, batch.mask, batch.reference, strict=True))
    columns = [blacken(batch.source, batch.mask), batch.reference]
    for keep_shape in (False, True):
        requests = [
            ReferenceRequest(source=source[None], mask=mask[None], reference=reference, keep_shape=keep_shape)
            for source, mask, reference in pairs
        ]
        columns.append(torch.cat([edited.frames for edited in editor.edit_batch(requests)]))
    return contact_sheet(column_rows(COLUMNS, [list(map(to_pil, column)) for column in (*columns, batch.source)]))
