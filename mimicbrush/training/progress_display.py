"""Show the progress of training: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm

from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.callbacks import StepCallback
from mimicbrush.training.records import Records

BAR = "step {n_fmt}/{total_fmt} |{bar}|{postfix}, left {remaining}"


class ProgressDisplay(StepCallback, ProgressBar):
    """Shows steps, loss, images/s and time left, on the first rank.

    Lightning's own bar counts batches of an epoch, but our epoch is endless. If stderr is a file, as under Slurm, one
    plain line is printed for each line of metrics.csv.
    """

    def __init__(self, records: Records, guard: BadStepGuard) -> None:
        super().__init__()
        self.records = records
        self.guard = guard
        self.bar: tqdm | None = None
        self.is_disabled = False

    def disable(self) -> None:
        self.is_disabled = True

    def enable(self) -> None:
        self.is_disabled = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        self.started, self.first = time.monotonic(), trainer.global_step
        if sys.stderr.isatty() and not self.is_disabled:
            # Time left by the mean of the whole call, because previews and checkpoints slow single steps.
            self.bar = tqdm(
                total=trainer.max_steps, initial=self.first, bar_format=BAR, smoothing=0, dynamic_ncols=True
            )

    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(", ".join(self._facts()), refresh=False)
            self.bar.update()
        elif self.records.row.get("step") == step and not self.is_disabled:
            facts = [*self._facts(), f"{self.records.row['waiting_share']:.0%} waiting"]
            left = (trainer.max_steps - step) * (time.monotonic() - self.started) / (step - self.first)
            line = "  ".join([f"step {step}/{trainer.max_steps}", *facts, f"left {tqdm.format_interval(left)}"])
            print(line, file=sys.stderr, flush=True)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._close()

    def print(self, *words: object, **kwargs) -> None:
        """Print above the bar, immediately."""
        if self.bar is not None:
            self.bar.clear()
        print(*words, **kwargs, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    @property
    def is_enabled(self) -> bool:
        """Whether `module.print` prints through this bar, as Lightning asks."""
        return not self.is_disabled

    def _facts(self) -> list[str]:
        facts = [f"loss {self.guard.smooth_loss:.4f}"]
        if self.records.row:
            facts.append(f"{self.records.row['images_per_second']:.1f} images/s")
        return facts

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
