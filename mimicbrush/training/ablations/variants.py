"""Train the variants of a run one after the other, each by train.py in its own process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mimicbrush.config import dump_config
from mimicbrush.errors import Terminated, UserError
from mimicbrush.files import write_text
from mimicbrush.training.ablations.config import AblationsConfig
from mimicbrush.training.checkpoints import find_resume_point, why_finished
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.resume_settings import require_same_run

TRAIN_SCRIPT = Path(__file__).parents[3] / "train.py"


def train_variants(config: AblationsConfig) -> None:
    """Train the chosen variants that are not finished.

    A variant that fails does not stop the others; at the end a UserError names it. Ctrl-C and SIGTERM are passed on to
    the running variant, which saves a checkpoint, and then end the command.
    """
    names = config.chosen
    failed: list[str] = []
    for number, name in enumerate(names, start=1):
        run = config.runs[name]
        finished = _why_finished(run)
        print(f"variant {number} of {len(names)}, {name}: {finished or f'training -> {run.output}'}", flush=True)
        if not finished and (status := _train(run)):
            failed.append(name)
            print(f"variant {number} of {len(names)}, {name}: failed with exit status {status}", flush=True)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(names)} variants failed: {', '.join(failed)}; see above why, and run the same"
            " command again for these"
        )
    print(f"variants trained: {', '.join(names)} -> {config.output}")


def _why_finished(run: TrainConfig) -> str:
    if run.check:
        return ""
    try:
        require_same_run(run)
        return why_finished(run, find_resume_point(run.output))
    except UserError:
        return ""  # another run's folder, or a damaged checkpoint: train.py says so


def _train(run: TrainConfig) -> int:
    """Run train.py and return its exit status, which is negative if a signal has killed it."""
    settings = run.output.with_name(f"{run.output.name}.yaml")
    write_text(dump_config(run), settings)
    # In its own process group, so that Ctrl-C reaches this process only, which passes it on once.
    process = subprocess.Popen([sys.executable, TRAIN_SCRIPT, "--config", settings], process_group=0)
    try:
        return process.wait()
    except (KeyboardInterrupt, Terminated) as stop:
        process.send_signal(signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM)
        process.wait()
        raise
