"""Run train.py's command: check or train, from the run's folder to its last line."""

from __future__ import annotations

import signal
from contextlib import nullcontext

from mimicbrush.folder_lock import held
from mimicbrush.run_folder import claim
from mimicbrush.training.checkpoints import find_resume_point, why_finished
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.all_checks import check_before_run, check_in_full
from mimicbrush.training.first_rank import is_first
from mimicbrush.training.ranks import log_on_first_rank_only
from mimicbrush.training.resume_settings import CHANGEABLE
from mimicbrush.training.run_setup import check_checkpoint, make_data, make_module, share_step
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainer import describe_end, end_early, fit, make_trainer, num_ranks_of


def train(config: TrainConfig) -> None:
    """Check or train a run, resuming from its last checkpoint.

    Raises SystemExit where a signal has stopped the run, or `--check` has found a fault.
    """
    if config.check:
        raise SystemExit(check_in_full(config) if is_first() else 0)
    # Before reading anything that another run might change; the first rank holds the lock for all.
    with held(config.output) if is_first() else nullcontext():
        _train(config)


def _train(config: TrainConfig) -> None:
    start = find_resume_point(config.output)
    if finished := why_finished(config, start):
        print(finished)
        return
    log_on_first_rank_only()
    stop = StopSignals()
    # Slurm's warning before a job ends would kill the process by default. Other signals may, until training begins.
    stop.install([signal.SIGUSR1])
    module, trainer = make_module(config), make_trainer(config, stop)
    data = make_data(share_step(config, num_ranks_of(trainer)))
    if start.checkpoint:
        check_checkpoint(module, start.checkpoint, config.network)
    # Only now, after everything was found and built: a failed start must not claim the folder.
    if is_first():
        if start.fault:
            print(start.fault)
        check_before_run(config, module, data, trainer)
        claim(config.output, config, free=CHANGEABLE)
    try:
        fit(trainer, module, data, start.checkpoint)
    except SystemExit:
        if stop.received:  # Lightning answers a second Ctrl-C by exiting with status 1
            raise KeyboardInterrupt from None
        raise
    if stop.agreed:
        end_early(config, stop, trainer)
    if trainer.is_global_zero:
        print(describe_end(config, trainer, start.step))
