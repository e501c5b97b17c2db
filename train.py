"""Train: shards in, a network that imitates out. `python train.py --config configs/train/tiny.yaml`"""

from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path

from mimicbrush.config import parse_config
from mimicbrush.errors import run_command
from mimicbrush.folder_lock import held
from mimicbrush.machine import require_posix
from mimicbrush.run_folder import claim
from mimicbrush.training.checkpoints import StopSignals, find_start
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor import check, examine
from mimicbrush.training.ranks import is_first, let_first_speak
from mimicbrush.training.run import check_checkpoint, make_data, make_module, share_step
from mimicbrush.training.same_run import FREE, require_same_run
from mimicbrush.training.trainer import describe_end, end_early, fit, make_trainer, num_ranks_of

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "train" / "tiny.yaml"


def main() -> None:
    config = parse_config(TrainConfig, default=DEFAULT_CONFIG)
    require_posix("training")
    if config.check:
        raise SystemExit(check(config) if is_first() else 0)
    require_same_run(config)
    # Before anything is read that another run might change; the first rank holds it for all.
    with held(config.output) if is_first() else nullcontext():
        train(config)


def train(config: TrainConfig) -> None:
    start = find_start(config.output)
    if start.step >= config.run.max_steps:
        already = f"already trained {start.step} of {config.run.max_steps} steps -> {config.output}"
        print(f"{already}; raise run.max_steps to train on")
        return
    if start.heldout.on_pairs(config.run.num_heldout_loss_pairs).is_over(config.run.patience):
        print(f"already stopped early, after step {start.step}: {start.heldout.describe()} -> {config.output}")
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
    fit(trainer, module, data, start.checkpoint)
    if stop.agreed:
        end_early(config, stop, trainer)
    if trainer.is_global_zero:
        print(describe_end(config, trainer, start.step))


if __name__ == "__main__":
    run_command(main)
