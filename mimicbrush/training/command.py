"""The work of train.py: one run, from its folder and its first step to its last line."""

from __future__ import annotations

import signal
from contextlib import nullcontext

from mimicbrush.folder_lock import held
from mimicbrush.run_folder import claim
from mimicbrush.training.checkpoints import find_start, why_finished
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor import check, examine
from mimicbrush.training.first_rank import is_first
from mimicbrush.training.ranks import let_first_speak
from mimicbrush.training.resume_settings import FREE
from mimicbrush.training.run_setup import check_checkpoint, make_data, make_module, share_step
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainer import describe_end, end_early, fit, make_trainer, num_ranks_of


def train(config: TrainConfig) -> None:
    """Examine or train, from the last checkpoint on where there is one; raises SystemExit where a signal has stopped
    the run, or the examination has found a fault."""
    if config.check:
        raise SystemExit(check(config) if is_first() else 0)
    # Before anything is read that another run might change; the first rank holds it for all.
    with held(config.output) if is_first() else nullcontext():
        _train(config)


def _train(config: TrainConfig) -> None:
    start = find_start(config.output)
    if finished := why_finished(config, start):
        print(finished)
        return
    let_first_speak()
    stop = StopSignals()
    # Slurm's warning that time is nearly over, which would end the job for good; other signals stop what has not begun.
    stop.install([signal.SIGUSR1])
    module, trainer = make_module(config), make_trainer(config, stop)
    data = make_data(share_step(config, num_ranks_of(trainer)))
    if start.checkpoint:
        check_checkpoint(module, start.checkpoint, config.network)
    # Only now, when everything has been found and built: a failed start binds nobody.
    if is_first():
        if start.fault:
            print(start.fault)
        examine(config, module, data, trainer)
        claim(config.output, config, free=FREE)
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
