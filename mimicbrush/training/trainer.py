"""Make Lightning's trainer for a run, with its callbacks and ranks; train, and describe the end of the run."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger

from mimicbrush.config import dump_config
from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.datamodule import PairData, choose_heldout, heldout_batches
from mimicbrush.errors import UserError, first_line
from mimicbrush.model.weights.find import checkpoint_of
from mimicbrush.training.averaging import AveragedWeights
from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.checkpoints import Checkpoints, WholeCheckpoints
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.first_rank import is_first
from mimicbrush.training.heldout_loss import HeldoutLoss
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.overfit import Overfit
from mimicbrush.training.previews import Previews, ReferenceUse
from mimicbrush.training.progress_display import ProgressDisplay
from mimicbrush.training.ranks import CoreCheck, Ranks, find_ranks
from mimicbrush.training.records import Records
from mimicbrush.training.run_setup import share_step
from mimicbrush.training.stop_signals import StopSignals, requeue
from mimicbrush.training.timing import BatchClock
from mimicbrush.yaml_reading import parse_yaml


@contextmanager
def _report_missing_devices() -> Iterator[None]:
    try:
        yield
    except MisconfigurationException as error:
        reason = first_line(error).rstrip(".!")
        raise UserError(f"{reason}; choose other run.accelerator, run.devices or run.precision") from None


@_report_missing_devices()
def make_trainer(config: TrainConfig, stop: StopSignals) -> Trainer:
    """Make Lightning's trainer with our callbacks; raises UserError where devices are missing."""
    _quieten_lightning()
    torch.set_float32_matmul_precision("high" if config.run.tf32 else "highest")
    run, ranks = config.run, find_ranks(config.run.devices, config.run.num_nodes)
    clock = BatchClock()
    trainer = Trainer(
        max_steps=run.max_steps,
        max_epochs=-1,
        accelerator=run.accelerator,
        devices=ranks.devices,
        num_nodes=ranks.num_nodes,
        precision=run.precision,
        strategy=ranks.strategy,
        callbacks=_callbacks(config, stop, clock, ranks),
        profiler=clock,
        plugins=[WholeCheckpoints(), ranks.environment],
        use_distributed_sampler=False,
        logger=_loggers(config),
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=run.record_every,
        default_root_dir=config.output,
    )
    # Only Lightning knows how many devices "auto" means.
    trainer.accumulate_grad_batches = share_step(config, num_ranks_of(trainer)).run.accumulate
    # Before each batch, ranks would ask the first one for SIGTERM, and wait; `BadStepGuard` exchanges stop signals.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
    return trainer


def num_ranks_of(trainer: Trainer) -> int:
    """Number of ranks, known before they connect."""
    return trainer.num_devices * trainer.num_nodes


def fit(trainer: Trainer, module: MimicBrushModule, data: PairData, checkpoint: Path | None) -> None:
    """Train, resuming from a checkpoint if there is one.

    Raises UserError where a loader worker or another rank has died, or compiling fails.
    """
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except (RuntimeError, ConnectionError, EOFError) as error:
        if _is_from_compiling(error):
            reason = first_line(error)
            raise UserError(f"run.compile: a U-Net cannot be compiled whole ({reason}); set it to false") from None
        reason = _describe_death(error)
        if reason is None:
            raise
        raise UserError(f"{reason}; run the same command again to resume") from None


def _is_from_compiling(error: Exception) -> bool:
    # Importing the module takes seconds; if it was not imported, nothing was compiled.
    exceptions = sys.modules.get("torch._dynamo.exc")
    return exceptions is not None and isinstance(error, exceptions.TorchDynamoException)


def _describe_death(error: Exception) -> str | None:
    """Say which process has died if that caused the error, else None. Its log, or the kernel's, has details."""
    message = str(error)
    if "DataLoader" in message or isinstance(error, ConnectionError | EOFError):
        return f"a loader worker has died or hangs ({message.strip()}): too little memory? See the system's log"
    if any(word in message for word in ("Connection closed by peer", "Connection reset by peer", "NCCL", "Gloo")):
        return "another rank has died or hangs: see the end of its log"
    return None


def end_early(config: TrainConfig, stop: StopSignals, trainer: Trainer) -> None:
    """Print which signal has stopped the run, and exit with its status; requeue a Slurm job that is about to end."""
    if trainer.is_global_zero:
        then = "run the same command again to resume"
        if stop.agreed == signal.SIGUSR1 and requeue():
            then = "the job is in the queue again and resumes from here"
        left_out = describe_left_out(config, trainer)
        print(f"stopped by {stop.agreed.name} after step {trainer.global_step} -> {config.output}{left_out}; {then}")
    # srun ends all ranks as soon as one has failed, so all wait until the job is in the queue.
    trainer.strategy.barrier()
    raise SystemExit(128 + stop.agreed)


def describe_left_out(config: TrainConfig, trainer: Trainer) -> str:
    """Describe skipped steps and replaced samples, and where they are recorded, for the run's last line."""
    num_bad = next(callback.num_bad for callback in trainer.callbacks if isinstance(callback, BadStepGuard))
    damaged = next(callback.damaged for callback in trainer.callbacks if isinstance(callback, Records))
    description = ""
    if num_bad:
        description += f"; {num_bad} {'step' if num_bad == 1 else 'steps'} skipped, see {config.output / 'bad_steps'}"
    if damaged.named:
        num = len(damaged.named)
        description += f"; {num} damaged {'sample' if num == 1 else 'samples'} replaced, see {damaged.path}"
    return description


def describe_end(config: TrainConfig, trainer: Trainer, start_step: int) -> str:
    """Describe the end of the run: its steps, and why it stopped early, if it did."""
    done = f"trained steps {start_step + 1} to {trainer.global_step}: checkpoint and records -> {config.output}"
    over = [callback for callback in trainer.callbacks if isinstance(callback, HeldoutLoss) and callback.is_over]
    early = [f"stopped early: {callback.progress.describe()}" for callback in over]
    return "\n".join([*early, done + describe_left_out(config, trainer)])


def _quieten_lightning() -> None:
    """Silence Lightning's advertisements, and warnings about intended settings such as frozen parts in eval mode."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start of training.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Lightning warns wherever Slurm is installed; `find_ranks` checks whether srun has started this process.
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")


def _callbacks(config: TrainConfig, stop: StopSignals, clock: BatchClock, ranks: Ranks) -> list[Callback]:
    run = config.run
    guard = BadStepGuard(run.watch, config.output / "bad_steps", stop)
    averaged = AveragedWeights(run.ema_decay, guard)
    heldout_loss = _heldout_loss(config, averaged)
    records = Records(config.output, run.record_every, guard, clock, heldout_loss)
    callbacks = [guard, averaged, records, ProgressDisplay(records, guard), *_heldout_callbacks(config, averaged)]
    if heldout_loss:
        callbacks.append(heldout_loss)
    if ranks.strategy != "auto" and not ranks.inherit_cores:
        callbacks.append(CoreCheck(config.data.num_workers))
    if config.overfit:
        callbacks.append(Overfit(config.output, num_inference_steps=run.preview_steps))
    # Last, so that everything of a step is written before its checkpoint.
    path = checkpoint_of(config.output)
    return [*callbacks, Checkpoints(path, run.checkpoint_every, run.keep_checkpoint_every, stop, heldout_loss)]


def _heldout_callbacks(config: TrainConfig, averaged: AveragedWeights) -> list[Callback]:
    run, heldout, size = config.run, config.data.heldout, config.network.size
    callbacks: list[Callback] = []
    # Only the first rank measures; the others need no pictures.
    if heldout is None or not is_first():
        return callbacks
    if run.preview_every:
        (batch,) = heldout_batches(heldout, size, run.num_previews, config.seed, batch_size=run.num_previews)
        folder = config.output / "previews"
        callbacks.append(
            Previews(folder, batch, averaged, every=run.preview_every, num_inference_steps=run.preview_steps)
        )
    if run.reference_use_every:
        batches = heldout_batches(heldout, size, run.num_reference_use_pairs, config.seed)
        callbacks.append(ReferenceUse(config.output, batches, averaged, every=run.reference_use_every))
    return callbacks


def _heldout_loss(config: TrainConfig, averaged: AveragedWeights) -> HeldoutLoss | None:
    """Make the held-out loss on all ranks, which must agree on the best one; only the first rank holds pairs."""
    run, heldout = config.run, config.data.heldout
    if heldout is None or not run.heldout_loss_every:
        return None
    batches: list[InpaintingBatch] = []
    if is_first():
        num_pairs = len(choose_heldout(heldout, run.num_heldout_loss_pairs, or_fewer=True))
        batches = heldout_batches(heldout, config.network.size, num_pairs, config.seed, mask=config.data.batch.mask)
    return HeldoutLoss(
        batches,
        averaged,
        every=run.heldout_loss_every,
        patience=run.patience,
        seed=config.seed,
        num_pairs=run.num_heldout_loss_pairs,
    )


def _loggers(config: TrainConfig) -> list[Logger]:
    if config.run.wandb == "off" or not is_first():
        return []
    # Imported here, because importing wandb takes a second.
    from mimicbrush.training.loggers import make_logger

    return [make_logger(config.run.wandb, config.output, parse_yaml(dump_config(config)))]
