"""metrics.csv and loss.png: how training goes."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from mimicbrush.files import whole
from mimicbrush.training.steps import StepCallback

RECORDED = {"loss": "whole", "loss_inside": "inside", "loss_outside": "outside"}
"""Column -> what training_step calls it."""


class Records(StepCallback):
    """metrics.csv, a line every so many steps with means since the last line, and loss.png drawn from it.

    A resumed run drops the lines behind its checkpoint: every step stands there once.
    """

    def __init__(self, folder: Path, every: int) -> None:
        super().__init__()
        self.csv_path = folder / "metrics.csv"
        self.plot_path = folder / "loss.png"
        self.every = every
        self.pending: list[dict[str, Tensor]] = []
        self.num_images = 0
        self.started = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        forget_after(trainer, self.csv_path)
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs, pairs, batch_idx: int) -> None:
        self.pending.append({name: outputs[name] for name in RECORDED.values()})
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
            **{
                column: torch.cat([entry[name] for entry in self.pending]).nanmean().item()
                for column, name in RECORDED.items()
            },
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "images_per_second": self.num_images / (time.monotonic() - self.started),
        }
        self.pending, self.num_images, self.started = [], 0, time.monotonic()
        if trainer.is_global_zero:
            write_records([*read_records(self.csv_path), row], self.csv_path)
        for logger in trainer.loggers:
            logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=step)


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


def forget_after(trainer: Trainer, path: Path) -> None:
    """Drop the lines behind the step that a run resumes from."""
    if trainer.is_global_zero:
        write_records([row for row in read_records(path) if row["step"] <= trainer.global_step], path)


def write_records(rows: list[dict[str, float]], path: Path) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
