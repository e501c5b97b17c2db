"""Clip gradients, skip steps that would harm the weights and record their batches, in agreement of all ranks."""

from __future__ import annotations

import math
import statistics
from collections import deque
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from mimicbrush.data.decode import PairBatch
from mimicbrush.device import send
from mimicbrush.errors import UserError
from mimicbrush.files import write_json
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.geometry import blacken
from mimicbrush.pictures.writing import write_image
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.training.config import MIN_LOSSES, WatchConfig
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainable import trained_parameters

MAX_PICTURED = 50
"""Largest number of bad steps whose pictures are written; later ones get only a list of keys, to spare the disk."""


class StepValues(NamedTuple):
    """Means over all ranks that decide whether a step is taken."""

    loss: float
    grad_norm: float
    """Norm of the gradient, before clipping."""
    scale: float | None = None
    """Scale of float16's gradients; None in other precisions."""

    @property
    def is_overflow(self) -> bool:
        """Whether the gradient overflowed only because of its scale.

        That is usual under float16: its scaler skips such a step and lowers the scale, until it is below 1.
        """
        is_scaled = self.scale is not None and self.scale >= 1
        return is_scaled and math.isfinite(self.loss) and not math.isfinite(self.grad_norm)


class BadStepGuard(Callback):
    """Between the backward pass and the optimiser: clips gradients and skips bad steps.

    Skipped steps count as steps, so that data order and learning rate do not depend on them. In each step the ranks
    exchange one message beside the gradients, which carries losses and stop signals, and the host waits for the device
    once, here.
    folder: for records of bad steps: the batch's keys, losses, and its pictures as the network saw them.
    stop: receives the signals of all ranks.
    """

    def __init__(self, config: WatchConfig, folder: Path, stop: StopSignals) -> None:
        self.config = config
        self.folder = folder
        self.stop = stop
        self.losses: deque[float] = deque(maxlen=config.spike_window)
        """Losses of the last good steps, means over all ranks."""
        self.grad_norm = math.nan
        """Norm of the last step's gradient, before clipping."""
        self.skipped = False
        """Whether the last step left the weights unchanged."""
        self.num_bad = 0
        self.num_bad_in_a_row = 0
        self._batches: list[PairBatch] = []
        self._loss: Tensor | float = 0.0

    @property
    def smooth_loss(self) -> float:
        """Mean loss of the last 50 good steps; NaN before the first."""
        last = list(islice(reversed(self.losses), 50))
        return statistics.fmean(last) if last else math.nan

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, pairs: PairBatch, batch_idx: int) -> None:
        self._batches.append(pairs)

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        # Lightning has divided it by the number of accumulated batches.
        self._loss = self._loss + loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, module: MimicBrushModule, optimizer: Optimizer) -> None:
        scale = _unscale(trainer, optimizer)
        parameters = [value for value in trained_parameters(module).values() if value.grad is not None]
        norm = torch.nn.utils.get_total_norm([value.grad for value in parameters])
        values = (self._loss, norm) if scale is None else (self._loss / scale, norm, scale)
        step = StepValues(*self._agree(trainer, *values))
        self.grad_norm = step.grad_norm
        fault = None if step.is_overflow else self._find_fault(step)
        self.skipped = step.is_overflow or fault is not None
        if fault is None:
            self._accept(step.loss, parameters, norm)
        else:
            self._report(trainer, module, step.loss, fault)
            # Without gradients the optimiser changes neither weights nor its own state.
            optimizer.zero_grad()
        self._batches, self._loss = [], 0.0

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint["watch"] = {"losses": list(self.losses), "num_bad": self.num_bad, "in_a_row": self.num_bad_in_a_row}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        state = checkpoint["watch"]
        self.losses.extend(state["losses"])
        self.num_bad, self.num_bad_in_a_row = state["num_bad"], state["in_a_row"]

    def _agree(self, trainer: Trainer, *values: Tensor) -> list[float]:
        """Exchange values and stop signals among ranks; returns the means of the values."""
        own = torch.stack(values)
        if trainer.world_size == 1:
            self.stop.agree(self.stop.votes())
            return own.tolist()
        message = torch.cat([own, send(torch.tensor(self.stop.votes()), own.device)])
        torch.distributed.all_reduce(message)
        means = (message / trainer.world_size).tolist()
        self.stop.agree(means[len(values) :])
        return means[: len(values)]

    def _find_fault(self, step: StepValues) -> str | None:
        if not math.isfinite(step.loss):
            return "the loss is not finite"
        if not math.isfinite(step.grad_norm):
            return "the gradient is not finite"
        if self.config.spike_factor and len(self.losses) >= MIN_LOSSES:
            usual = statistics.median(self.losses)
            if step.loss > self.config.spike_factor * usual:
                return (
                    f"the loss is {step.loss:.3g}, more than {self.config.spike_factor:g} times the usual {usual:.3g}"
                )
        return None

    def _accept(self, loss: float, parameters: list[nn.Parameter], norm: Tensor) -> None:
        self.losses.append(loss)
        self.num_bad_in_a_row = 0
        if self.config.gradient_clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.gradient_clip, norm)

    def _report(self, trainer: Trainer, module: MimicBrushModule, loss: float, fault: str) -> None:
        self.num_bad += 1
        self.num_bad_in_a_row += 1
        step = trainer.global_step + 1
        path = self._keep(trainer, module, loss, fault, step)
        message = f"step {step}: {fault}; its batch is kept in {path}"
        restart = "start a new run with --network.weights RUN, another --output and a lower recipe.learning_rate"
        if self.config.bad_step == "stop":
            raise UserError(f"{message}; look at it, {restart}, or set run.watch.bad_step to skip")
        if self.num_bad_in_a_row >= self.config.max_bad_steps:
            raise UserError(
                f"{message}; it is bad step {self.num_bad_in_a_row} in a row: {restart}, or raise"
                " run.watch.spike_factor"
            )
        module.print(f"{message}; skipped")

    def _keep(self, trainer: Trainer, module: MimicBrushModule, loss: float, fault: str, step: int) -> Path:
        """Record this rank's batches of the step."""
        path = self.folder / f"step-{step:07d}-rank-{trainer.global_rank}.json"
        facts = {
            "fault": fault,
            "loss": repr(loss),
            "grad_norm": repr(self.grad_norm),
            "keys": [key for pairs in self._batches for key in pairs.key],
            "positions": [position for pairs in self._batches for position in pairs.position],
        }
        write_json(facts, path)
        if self.num_bad <= MAX_PICTURED:
            for number, pairs in enumerate(self._batches):
                batch = module.draw_batch(pairs)
                columns = [list(map(to_pil, column)) for column in (blacken(batch.source, batch.mask), batch.reference)]
                sheet = contact_sheet(column_rows(("masked source", "reference"), columns))
                write_image(sheet, path.with_name(f"{path.stem}-{number}.png"))
        return path


def _unscale(trainer: Trainer, optimizer: Optimizer) -> Tensor | None:
    """Undo float16's scaling of the gradients; returns the scale, None where there is none."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None:
        return None
    # Lightning leaves this to a fused optimiser, which would do it only after clipping.
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)
    # The scaler's own `get_scale` would make the host wait for the device.
    return scaler.scale(torch.ones((), device=trainer.strategy.root_device))
