"""What happens beside the training step: averaged weights, checkpoints, records, previews, reference use."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.files import whole
from mimicbrush.imaging import blacken, write_image
from mimicbrush.model.reference_use import measure_reference_use
from mimicbrush.requests import ReferenceRequest
from mimicbrush.training.module import MimicBrushModule, trained_parameters

PREVIEW_GUIDANCE = 2.0
"""Small, so that young weights show what they know rather than its exaggeration."""
RECORDED = ("loss", "loss_inside", "loss_outside")


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


class AveragedWeights(StepCallback):
    """Exponential moving average of the trained parameters only: frozen networks would be copied for nothing.

    decay: of one step; it starts lower, (1 + step) / (10 + step), so that the random start is soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.average: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in trained_parameters(module).items()}
        self.average = {name: value.to(module.device) for name, value in self.average.items()}

    @torch.no_grad()
    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        current = trained_parameters(module)
        torch._foreach_lerp_(list(self.average.values()), [current[name] for name in self.average], 1 - decay)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint["ema"] = self.average

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        self.average = checkpoint["ema"]

    @contextmanager
    def applied(self, module: LightningModule) -> Iterator[None]:
        """The averaged weights in place of the trained ones."""
        current = trained_parameters(module)
        kept = {name: value.data for name, value in current.items()}
        for name, value in self.average.items():
            current[name].data = value
        try:
            yield
        finally:
            for name, value in kept.items():
                current[name].data = value


class Checkpoints(StepCallback):
    """Writes `last.ckpt` every so many steps and at the end; Lightning writes it whole or not at all."""

    def __init__(self, path: Path, every: int) -> None:
        super().__init__()
        self.path = path
        self.every = every

    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        if step % self.every == 0 or step == trainer.max_steps:
            trainer.save_checkpoint(self.path, weights_only=False)


class Records(StepCallback):
    """metrics.csv, a line every so many steps with means since the last line, and loss.png drawn from it.

    A resumed run drops the lines behind its checkpoint: every step stands there once.
    """

    def __init__(self, folder: Path, every: int) -> None:
        super().__init__()
        self.csv_path = folder / "metrics.csv"
        self.plot_path = folder / "loss.png"
        self.every = every
        self.pending: list[dict[str, float]] = []
        self.num_images = 0
        self.started = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        _forget_after(trainer, self.csv_path)
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs, pairs, batch_idx: int) -> None:
        self.pending.append({name: float(trainer.callback_metrics[name]) for name in RECORDED})
        self.num_images += len(pairs.source) * trainer.world_size
        super().on_train_batch_end(trainer, module)

    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        if step % self.every == 0 or step == trainer.max_steps:
            self._flush(trainer, step)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.is_global_zero:
            draw_loss_curve(read_records(self.csv_path), self.plot_path)

    def _flush(self, trainer: Trainer, step: int) -> None:
        row = {
            "step": step,
            **{name: sum(entry[name] for entry in self.pending) / len(self.pending) for name in RECORDED},
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "images_per_second": self.num_images / (time.monotonic() - self.started),
        }
        self.pending, self.num_images, self.started = [], 0, time.monotonic()
        if trainer.is_global_zero:
            _write_records([*read_records(self.csv_path), row], self.csv_path)
        for logger in trainer.loggers:
            logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=step)


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
            with self.averaged.applied(module), _evaluating(module):
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
        _forget_after(trainer, self.path)

    def on_step(self, trainer: Trainer, module: MimicBrushModule, step: int) -> None:
        if trainer.is_global_zero and step % self.every == 0:
            with self.averaged.applied(module), _evaluating(module):
                shares = measure_reference_use(module.network, self.batches, progress=True)
            row = {"step": step, **{name: share.mean for name, share in shares.items()}}
            _write_records([*read_records(self.path), row], self.path)
            for logger in trainer.loggers:
                logger.log_metrics({f"reference use / {name}": share.mean for name, share in shares.items()}, step=step)


@contextmanager
def _evaluating(module: LightningModule) -> Iterator[None]:
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
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


def read_records(path: Path) -> list[dict[str, float]]:
    """The lines of a CSV of numbers, none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def draw_loss_curve(records: list[dict[str, float]], path: Path) -> None:
    """Loss over steps, over the whole latent and inside and outside the mask."""
    figure, axes = plt.subplots(figsize=(7, 4), dpi=110)
    steps = [row["step"] for row in records]
    for name, label in zip(RECORDED, ("whole latent", "inside the mask", "outside the mask"), strict=True):
        axes.plot(steps, [row[name] for row in records], label=label, linewidth=1.2)
    axes.set(xlabel="step", ylabel="prediction error (MSE), lower is better", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _forget_after(trainer: Trainer, path: Path) -> None:
    """Drop the lines behind the step that a run resumes from."""
    if trainer.is_global_zero:
        _write_records([row for row in read_records(path) if row["step"] <= trainer.global_step], path)


def _write_records(rows: list[dict[str, float]], path: Path) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
