"""Write, find and resume checkpoints; a checkpoint is complete or does not exist."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.model.weights.find import best_checkpoint_of, checkpoint_of, previous_checkpoint_of
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.tensor_files import DamagedFileError, torch_save
from mimicbrush.training.callbacks import StepCallback
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.early_stop import HeldoutProgress, progress_in
from mimicbrush.training.heldout_loss import HeldoutLoss
from mimicbrush.training.stop_signals import StopSignals

LAST, PREVIOUS = (path.name for path in (checkpoint_of(Path()), previous_checkpoint_of(Path())))


class ResumePoint(NamedTuple):
    """The step and checkpoint that a run resumes from."""

    step: int
    checkpoint: Path | None
    fault: str
    """Why the newest checkpoint is not used; empty if it is."""
    heldout: HeldoutProgress = HeldoutProgress()
    """Progress of the held-out loss up to this step."""


def find_resume_point(run: Path) -> ResumePoint:
    """Find the newest readable checkpoint; raises UserError if there are checkpoints, but none can be read."""
    faults = []
    existing = [path for path in (checkpoint_of(run), previous_checkpoint_of(run)) if _is_there(path)]
    for path in existing:
        try:
            checkpoint = read_checkpoint(path)
        except DamagedFileError as error:
            faults.append(str(error))
            continue
        step = checkpoint["global_step"]
        if path.name == PREVIOUS:
            faults = faults or [f"{checkpoint_of(run)}: not there"]
        message = f"{'; '.join(faults)}; resuming from {PREVIOUS}, step {step}" if faults else ""
        return ResumePoint(step, path, message, progress_in(checkpoint))
    if faults:
        # A kept checkpoint may be a second name of a damaged one.
        folder = checkpoint_of(run).parent
        kept = sorted(
            path.name
            for path in folder.glob("step-*.ckpt")
            if not any(_are_same(path, damaged) for damaged in existing)
        )
        remedy = f"copy {kept[-1]} over {LAST}" if kept else f"delete {folder} to train from the start"
        raise UserError(f"{'; '.join(faults)}; or {remedy}")
    return ResumePoint(0, None, "")


def why_finished(config: TrainConfig, start: ResumePoint) -> str:
    """Say why a run has no steps left to train, and what to do to train on; empty where it has some."""
    if start.step >= config.run.max_steps:
        already = f"already trained {start.step} of {config.run.max_steps} steps -> {config.output}"
        return f"{already}; raise run.max_steps to train on"
    if start.heldout.on_pairs(config.run.num_heldout_loss_pairs).is_over(config.run.patience):
        return f"already stopped early, after step {start.step}: {start.heldout.describe()} -> {config.output}"
    return ""


def _is_there(path: Path) -> bool:
    """Whether the file exists; a file without access counts, because reading it gives the reason."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _are_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and renames it when it is complete.

    A `last.ckpt` that is replaced stays as `previous.ckpt`, unless it is damaged and `previous.ckpt` was loaded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last_is_damaged = False

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: Sequence[str] = ()) -> None:
        """Write the checkpoint, first under further names in the same folder, then as `path`.

        storage_options: these names; Lightning passes this argument through. They come first because `path` counts on
        them. Raises UserError where the disk is full; the previous checkpoint stays.
        """
        path = Path(path)
        with whole(path) as partial:
            torch_save(checkpoint, partial)
            for name in storage_options or ():
                _link(partial, path.with_name(name))
            if path.name == LAST:
                if not self.last_is_damaged:
                    _keep_as_previous(path)
                self.last_is_damaged = False

    def load_checkpoint(self, path: str | Path, *args: object, **kwargs: object) -> dict:
        """Read a checkpoint, mapped from the file, so that ranks of a node share its memory; no code is executed."""
        self.last_is_damaged = Path(path).name == PREVIOUS
        return read_checkpoint(Path(path))


class Checkpoints(StepCallback):
    """Writes `last.ckpt` every so many steps, at the end, and when a stop signal was received.

    keep_every: steps between checkpoints that are kept, as `step-0010000.ckpt`; 0: none.
    heldout_loss: if it is the lowest so far, the checkpoint is kept as `best.ckpt`; when its patience ends, so does
    training.
    """

    def __init__(
        self, path: Path, every: int, keep_every: int, stop: StopSignals, heldout_loss: HeldoutLoss | None = None
    ) -> None:
        super().__init__()
        self.heldout_loss = heldout_loss
        self.path = path
        self.every = every
        self.keep_every = keep_every
        self.stop = stop

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        # Not earlier: Lightning installs its own handlers when it starts.
        self.stop.install()
        _check_agreement(trainer)
        if trainer.is_global_zero:
            # Remains of runs that were killed while writing.
            for partial in self.path.parent.glob(".*.partial.ckpt"):
                partial.unlink(missing_ok=True)

    def on_step(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        kept = [f"step-{step:07d}.ckpt"] if self.keep_every and step % self.keep_every == 0 else []
        if self.heldout_loss is not None and self.heldout_loss.is_best(step):
            kept.append(best_checkpoint_of(Path()).name)
        is_over = self.heldout_loss is not None and self.heldout_loss.is_over
        is_last = step == trainer.max_steps or bool(self.stop.agreed) or is_over
        if kept or is_last or step % self.every == 0:
            trainer.save_checkpoint(self.path, weights_only=False, storage_options=kept)
        if self.stop.agreed or is_over:
            trainer.should_stop = True

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        """Recompute Lightning's batch counts: the resumed run may take another number of batches a step."""
        num = checkpoint["global_step"] * trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            # The counts at the end of a batch, when this callback saves.
            counts.update(ready=num, started=num, processed=num, completed=num - 1)


def _check_agreement(trainer: Trainer) -> None:
    """Raise UserError where ranks resume from different steps, as if they do not share the output folder."""
    steps = [trainer.global_step] * trainer.world_size
    if trainer.world_size > 1:
        torch.distributed.all_gather_object(steps, trainer.global_step)
    if len(set(steps)) > 1:
        raise UserError(
            f"ranks resume from different steps ({steps}): put the output folder where all nodes see the same"
        )


def _keep_as_previous(path: Path) -> None:
    """Give the file that is about to be replaced a second name, so that both names always mean complete files."""
    previous = path.with_name(PREVIOUS)
    if not path.is_file():
        return
    try:
        with whole(previous) as partial:
            partial.hardlink_to(path)
    except (OSError, UserError):  # a file system without hard links
        path.replace(previous)


def _link(path: Path, kept: Path) -> None:
    """Give the file a second name, which stays valid, because checkpoints are replaced, not overwritten."""
    with whole(kept) as partial:
        try:
            partial.hardlink_to(path)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, partial)
