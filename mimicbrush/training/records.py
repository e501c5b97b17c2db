"""Record a run's progress in metrics.csv, loss.png and damaged.txt."""

from __future__ import annotations

import csv
import io
import math
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from lightning import Trainer
from torch import Tensor
from torch.optim import Optimizer

from mimicbrush.data.decode import PairBatch
from mimicbrush.errors import UserError
from mimicbrush.files import append_text, write_text
from mimicbrush.machine import GIBIBYTE, peak_memory
from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.callbacks import StepCallback
from mimicbrush.training.curves import BANDS, LOSSES, draw_training
from mimicbrush.training.heldout_loss import HeldoutLoss
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.precision import COMPUTE_DTYPES
from mimicbrush.training.timing import BatchClock, matrix_rate

NUM_TIMESTEPS = 1000
"""Number of timesteps of the noise schedule, divided among BANDS."""
DRAW_EVERY = 10
"""Lines of metrics.csv between drawings of loss.png, which take about a second each."""


class Records(StepCallback):
    """Writes a line every so many steps, with means since the last line over all ranks, and charts them.

    A resumed run drops the lines after its checkpoint, so that every step is recorded once. The speed is that of
    training alone, without previews, measurements and checkpoints.
    """

    def __init__(
        self, folder: Path, every: int, guard: BadStepGuard, clock: BatchClock, heldout_loss: HeldoutLoss | None = None
    ) -> None:
        super().__init__()
        self.heldout_loss = heldout_loss
        self.csv_path = folder / "metrics.csv"
        self.plot_path = folder / "loss.png"
        self.every = every
        self.guard = guard
        self.clock = clock
        self.device_flops = math.nan
        """FLOP/s that one device reaches at most; NaN if unknown."""
        self.damaged = DamagedSamples(folder / "damaged.txt")
        self.row: dict[str, float] = {}
        """The last line."""
        self.num_lines = 0
        self.learning_rate = math.nan
        self._start_line()

    def on_train_start(self, trainer: Trainer, module: MimicBrushModule) -> None:
        super().on_train_start(trainer, module)
        forget_after(trainer, self.csv_path)
        # Not on CPUs, whose cores are shared, so that their rate varies.
        if module.flops_per_image and module.device.type == "cuda":
            self.device_flops = matrix_rate(module.device, COMPUTE_DTYPES[trainer.precision])
        self._start_line()

    def on_before_optimizer_step(self, trainer: Trainer, module: MimicBrushModule, optimizer: Optimizer) -> None:
        # At the end of the step it is already that of the next step.
        self.learning_rate = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: Trainer, module: MimicBrushModule, outputs: dict, pairs: PairBatch, batch_idx: int
    ) -> None:
        # Tensors stay on the device until the line is written.
        self.outputs.append({name: outputs[name] for name in (*LOSSES.values(), "timestep")})
        self.skipped += pairs.skipped
        self.seconds += time.monotonic() - self.clock.asked
        super().on_train_batch_end(trainer, module)

    def on_step(self, trainer: Trainer, module: MimicBrushModule, step: int) -> None:
        if math.isfinite(self.guard.grad_norm):
            self.norms.append(self.guard.grad_norm)
        is_measured = self.heldout_loss is not None and self.heldout_loss.is_due(step)
        columns = self.heldout_loss.measure(trainer, module, step) if is_measured else {}
        if step % self.every == 0 or step == trainer.max_steps or is_measured:
            self._flush(trainer, module, step, columns)

    def on_train_end(self, trainer: Trainer, module: MimicBrushModule) -> None:
        """Write the last line, after the last step or the one at which all ranks stop."""
        if self.outputs:
            self._flush(trainer, module, trainer.global_step)
        self._draw(trainer)

    def on_exception(self, trainer: Trainer, module: MimicBrushModule, exception: BaseException) -> None:
        # Not if another rank has died: Lightning then gives this one a few seconds, enough for its message only.
        if isinstance(exception, KeyboardInterrupt | UserError):
            self._draw(trainer)

    def _start_line(self) -> None:
        self.outputs: list[dict[str, Tensor]] = []
        self.skipped: list[str] = []
        self.norms: list[float] = []
        self.seconds = 0.0
        self.waited_before = self.clock.waited

    def _flush(
        self, trainer: Trainer, module: MimicBrushModule, step: int, columns: dict[str, float] | None = None
    ) -> None:
        """Write a line; columns: additional columns of this line."""
        row = {"step": step, **self._measure(trainer, module), **(columns or {})}
        skipped = _gather(self.skipped, trainer)
        self._start_line()
        if trainer.is_global_zero:
            for message in self.damaged.note(skipped):
                module.print(f"damaged, replaced by another sample: {message}")
            self._write(trainer, row | {"bad_steps": self.guard.num_bad, "damaged_samples": len(self.damaged.named)})

    def _measure(self, trainer: Trainer, module: MimicBrushModule) -> dict[str, float]:
        """Measure the columns that all ranks share; all ranks must call it."""
        device = trainer.strategy.root_device
        sums, counts, num_images = _sums(self.outputs)
        waited = self.clock.waited - self.waited_before
        totals = torch.cat([sums, counts, torch.tensor([num_images, waited], device=device)])
        memory = torch.tensor(peak_memory(device) / GIBIBYTE, device=device)
        if trainer.world_size > 1:
            torch.distributed.all_reduce(totals)
            torch.distributed.all_reduce(memory, torch.distributed.ReduceOp.MAX)
        num_images, waited = totals[-2:].tolist()
        means = totals[: len(sums)] / totals[len(sums) : -2]
        images_per_second = num_images / self.seconds
        return {
            **dict(zip((*LOSSES, *BANDS), means.tolist(), strict=True)),
            "grad_norm": statistics.fmean(self.norms) if self.norms else math.nan,
            "learning_rate": self.learning_rate,
            "images_per_second": images_per_second,
            "waiting_share": waited / (trainer.world_size * self.seconds),
            "mfu": self._used_share(module, images_per_second / trainer.world_size),
            "memory_gib": memory.item(),
        }

    def _used_share(self, module: MimicBrushModule, images_per_second: float) -> float:
        """Share of the device's FLOP/s in use (MFU); NaN on CPUs, and if FLOPs were not counted."""
        return images_per_second * (module.flops_per_image or math.nan) / self.device_flops

    def _write(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.row = row
        append_record(row, self.csv_path)
        for logger in trainer.loggers:
            known = {name: value for name, value in row.items() if name != "step" and math.isfinite(value)}
            logger.log_metrics(known, step=row["step"])
        self.num_lines += 1
        if self.num_lines % DRAW_EVERY == 0:
            self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        rows = read_records(self.csv_path) if trainer.is_global_zero else []
        if rows:
            draw_training(rows, self.plot_path)


class DamagedSamples:
    """Writes one line for each damaged sample, however often it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.named = set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()

    def note(self, messages: Iterable[str]) -> list[str]:
        """Record messages; returns the new ones."""
        lines = dict.fromkeys(" ".join(message.split()) for message in messages)
        new = [line for line in lines if line not in self.named]
        if new:
            append_text("".join(f"{line}\n" for line in new), self.path)
        self.named.update(new)
        return new


def read_records(path: Path) -> list[dict[str, float]]:
    """Read a CSV file of numbers; no lines if there is no file, NaN for empty cells.

    An incomplete last line is ignored.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole_lines = [line for line in lines if line.endswith("\n")]
    return [{name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(whole_lines)]


def append_record(row: dict[str, float], path: Path) -> None:
    """Append a line; the file is rewritten only if it lacks one of the columns."""
    columns = _columns(path)
    if row.keys() <= set(columns):
        append_text(_csv([row], columns), path)
    else:
        write_records([*read_records(path), row], path)


def forget_after(trainer: Trainer, path: Path) -> None:
    """Drop the lines after the step that a run resumes from."""
    if trainer.is_global_zero:
        write_records([row for row in read_records(path) if row["step"] <= trainer.global_step], path)


def write_records(rows: list[dict[str, float]], path: Path) -> None:
    """Write all lines, or remove the file if there are none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_text(",".join(columns) + "\n" + _csv(rows, columns), path)


def _csv(rows: list[dict[str, float]], columns: list[str]) -> str:
    """Format lines without header; unknown values and NaN become empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writerows({name: "" if math.isnan(value) else f"{value:.8g}" for name, value in row.items()} for row in rows)
    return text.getvalue()


def _columns(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _sums(outputs: list[dict[str, Tensor]]) -> tuple[Tensor, Tensor, int]:
    """Sums and counts of LOSSES and BANDS over samples with finite losses, and the number of all samples."""
    joined = {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]}
    band = joined["timestep"] * len(BANDS) // NUM_TIMESTEPS
    absent = torch.full_like(joined["whole"], math.nan)
    in_bands = [torch.where(band == number, joined["whole"], absent) for number in range(len(BANDS))]
    table = torch.stack([*(joined[name] for name in LOSSES.values()), *in_bands])
    finite = table.isfinite()
    return table.where(finite, 0).sum(dim=1), finite.sum(dim=1).to(table), len(band)


def _gather(items: list[str], trainer: Trainer) -> list[str]:
    """Collect the items of all ranks."""
    if trainer.world_size == 1:
        return items
    gathered: list[list[str]] = [[] for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(gathered, items)
    return [item for part in gathered for item in part]
