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


class Start(NamedTuple):
    """The step and checkpoint that a run resumes from."""

    step: int
    checkpoint: Path | None
    fault: str
    """Why the newest checkpoint is not used; empty where it is."""
    heldout: HeldoutProgress = HeldoutProgress()
    """How the held-out loss has gone until then."""


def find_start(run: Path) -> Start:
    """The newest checkpoint that can be read; raises UserError where there are some, and none of them can be."""
    faults = []
    there = [path for path in (checkpoint_of(run), previous_checkpoint_of(run)) if _is_there(path)]
    for path in there:
        try:
            checkpoint = read_checkpoint(path)
        except DamagedFileError as error:
            faults.append(str(error))
            continue
        step = checkpoint["global_step"]
        if path.name == PREVIOUS:
            faults = faults or [f"{checkpoint_of(run)}: not there"]
        said = f"{'; '.join(faults)}; resuming from {PREVIOUS}, step {step}" if faults else ""
        return Start(step, path, said, progress_in(checkpoint))
    if faults:
        # A kept checkpoint may be a second name of a damaged one.
        folder = checkpoint_of(run).parent
        kept = sorted(
            path.name for path in folder.glob("step-*.ckpt") if not any(_are_same(path, damaged) for damaged in there)
        )
        other = f"copy {kept[-1]} over {LAST}" if kept else f"delete {folder} to train from the start"
        raise UserError(f"{'; '.join(faults)}; or {other}")
    return Start(0, None, "")


def why_finished(config: TrainConfig, start: Start) -> str:
    """Say why a run has no steps left to train, and what to do to train on; empty where it has some."""
    if start.step >= config.run.max_steps:
        already = f"already trained {start.step} of {config.run.max_steps} steps -> {config.output}"
        return f"{already}; raise run.max_steps to train on"
    if start.heldout.on_pairs(config.run.num_heldout_loss_pairs).is_over(config.run.patience):
        return f"already stopped early, after step {start.step}: {start.heldout.describe()} -> {config.output}"
    return ""


def _is_there(path: Path) -> bool:
    """Whether there is such a file; one that the system refuses to look at is there, and reading it says why."""
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
    """Writes to a file beside, and puts it in place when all of it is on the disk.

    A `last.ckpt` that is replaced stays as `previous.ckpt`, unless it is damaged and `previous.ckpt` was loaded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last_is_damaged = False

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: Sequence[str] = ()) -> None:
        """Write it as `path`, and before that under further names in the same folder, which Lightning hands on as
        `storage_options`: whatever a checkpoint vouches for is there.

        Raises UserError where the disk is full; the checkpoint before stays.
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
        """Mapped from the file: ranks of a node share its memory, and nothing executable is loaded."""
        self.last_is_damaged = Path(path).name == PREVIOUS
        return read_checkpoint(Path(path))


class Checkpoints(StepCallback):
    """`last.ckpt` every so many steps, at the end, and when `stop` asks for it.

    keep_every: steps between checkpoints that stay, as `step-0010000.ckpt`; 0: none. heldout_loss: where it is the
    lowest so far, the checkpoint stays as `best.ckpt`; where it is over, training ends.
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
        # Not before: Lightning puts handlers of its own in place when it starts.
        self.stop.install()
        _check_agreement(trainer)
        if trainer.is_global_zero:
            # What runs leave that were killed while they wrote.
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
        """Count batches anew: the run may go on with another number of them a step."""
        num = checkpoint["global_step"] * trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            # As they stand while this callback is called, at the end of a batch.
            counts.update(ready=num, started=num, processed=num, completed=num - 1)


def _check_agreement(trainer: Trainer) -> None:
    """Raise UserError where ranks go on from different steps, as they do in folders that they do not share."""
    steps = [trainer.global_step] * trainer.world_size
    if trainer.world_size > 1:
        torch.distributed.all_gather_object(steps, trainer.global_step)
    if len(set(steps)) > 1:
        raise UserError(
            f"ranks go on from different steps ({steps}): put the output folder where all nodes see the same"
        )


def _keep_as_previous(path: Path) -> None:
    """Give the file that is about to be replaced a second name; each name is at every moment that of a whole file."""
    previous = path.with_name(PREVIOUS)
    if not path.is_file():
        return
    try:
        with whole(previous) as partial:
            partial.hardlink_to(path)
    except (OSError, UserError):  # a file system without hard links
        path.replace(previous)


def _link(path: Path, kept: Path) -> None:
    """A second name of the same file: checkpoints are replaced by the next ones, not overwritten."""
    with whole(kept) as partial:
        try:
            partial.hardlink_to(path)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, partial)
