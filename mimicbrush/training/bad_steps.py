"""Agreement of all ranks in each step: whether it would harm the weights, and whether the run stops.

Gradients are clipped, and steps that would harm the weights are left out, named, and kept to look at.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from itertools import islice
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
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

MAX_PICTURED = 50
"""Bad steps of a run whose pictures are kept; of later ones only the keys, so that they fill no disk."""


class Watch(Callback):
    """Between the backward pass and the optimiser. Skipped steps count as steps: data and schedule go on.

    folder: for what bad steps leave behind: the batch's keys, losses, and pictures as the network saw them.
    stop: learns here of signals that any rank has received, so that a step has one exchange between ranks beside that
    of gradients, and one wait for the device.
    """

    def __init__(self, config: WatchConfig, folder: Path, stop: StopSignals) -> None:
        self.config = config
        self.folder = folder
        self.stop = stop
        self.losses: deque[float] = deque(maxlen=config.spike_window)
        """Of the last good steps, over all ranks."""
        self.grad_norm = math.nan
        """Of the last step, before clipping."""
        self.skipped = False
        """Whether the last step has left the weights as they were."""
        self.num_bad = 0
        self.num_bad_in_a_row = 0
        self._batches: list[PairBatch] = []
        self._loss: Tensor | float = 0.0

    @property
    def smooth_loss(self) -> float:
        """Mean of the last 50 good steps; NaN before the first."""
        last = list(islice(reversed(self.losses), 50))
        return statistics.fmean(last) if last else math.nan

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, pairs: PairBatch, batch_idx: int) -> None:
        self._batches.append(pairs)

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        # Lightning has divided it by the number of batches that are accumulated.
        self._loss = self._loss + loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, module: MimicBrushModule, optimizer: Optimizer) -> None:
        scale = _unscale(trainer, optimizer)
        parameters = [value for group in optimizer.param_groups for value in group["params"] if value.grad is not None]
        norm = torch.nn.utils.get_total_norm([value.grad for value in parameters])
        numbers = [self._loss, norm] if scale is None else [self._loss / scale, norm, scale]
        loss, self.grad_norm, *scales = self._agree(trainer, *numbers)
        fault = self._fault(loss)
        # Usual under float16: its scaler leaves such a step out and lowers the scale, until there is none to lower.
        overflow = math.isfinite(loss) and not math.isfinite(self.grad_norm) and any(scale >= 1 for scale in scales)
        self.skipped = overflow or fault is not None
        if fault and not overflow:
            self._report(trainer, module, loss, fault)
            # Without gradients the optimiser leaves weights and its own state alone.
            optimizer.zero_grad()
        else:
            self.losses.append(loss)
            self.num_bad_in_a_row = 0
            if self.config.gradient_clip:
                torch.nn.utils.clip_grads_with_norm_(parameters, self.config.gradient_clip, norm)
        self._batches, self._loss = [], 0.0

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint["watch"] = {"losses": list(self.losses), "num_bad": self.num_bad, "in_a_row": self.num_bad_in_a_row}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        state = checkpoint["watch"]
        self.losses.extend(state["losses"])
        self.num_bad, self.num_bad_in_a_row = state["num_bad"], state["in_a_row"]

    def _agree(self, trainer: Trainer, *numbers: Tensor) -> list[float]:
        """Their means over all ranks. With them goes whether a rank was asked to stop.

        Here, and nowhere else in a step, the host waits for the device.
        """
        values = torch.stack(numbers)
        if trainer.world_size == 1:
            self.stop.agree(self.stop.votes())
            return values.tolist()
        values = torch.cat([values, send(torch.tensor(self.stop.votes()), values.device)])
        torch.distributed.all_reduce(values)
        means = (values / trainer.world_size).tolist()
        self.stop.agree(means[len(numbers) :])
        return means[: len(numbers)]

    def _fault(self, loss: float) -> str | None:
        if not math.isfinite(loss):
            return "the loss is not finite"
        if not math.isfinite(self.grad_norm):
            return "the gradient is not finite"
        if self.config.spike_factor and len(self.losses) >= MIN_LOSSES:
            usual = statistics.median(self.losses)
            if loss > self.config.spike_factor * usual:
                return f"the loss is {loss:.3g}, more than {self.config.spike_factor:g} times the usual {usual:.3g}"
        return None

    def _report(self, trainer: Trainer, module: MimicBrushModule, loss: float, fault: str) -> None:
        self.num_bad += 1
        self.num_bad_in_a_row += 1
        step = trainer.global_step + 1
        path = self._keep(trainer, module, loss, fault, step)
        said = f"step {step}: {fault}; its batch is kept in {path}"
        afresh = "go on with a lower recipe.learning_rate in another --output, from --network.weights RUN"
        if self.config.bad_step == "stop":
            raise UserError(f"{said}; look at it, {afresh}, or set run.watch.bad_step to skip")
        if self.num_bad_in_a_row >= self.config.max_bad_steps:
            raise UserError(
                f"{said}; it is bad step {self.num_bad_in_a_row} in a row: {afresh}, or raise run.watch.spike_factor"
            )
        module.print(f"{said}; skipped")

    def _keep(self, trainer: Trainer, module: MimicBrushModule, loss: float, fault: str, step: int) -> Path:
        """Write this rank's batches of the step."""
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
    # Lightning leaves it to a fused optimiser, which would do so only after the clipping.
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)
    # Its own `get_scale` would make the host wait.
    return scaler.scale(torch.ones((), device=trainer.strategy.root_device))
