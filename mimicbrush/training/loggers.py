"""Optional logging to Weights & Biases; the run's folder holds the same records."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

import wandb
from lightning.pytorch.loggers import WandbLogger
from wandb.errors import AuthenticationError, UsageError

from mimicbrush.errors import UserError
from mimicbrush.files import write_text

ID_FILE = "wandb_id.txt"
OFFLINE = "or train with --run.wandb offline and send the records later with `wandb sync`"


class RunLogger(WandbLogger):
    """Finishes its wandb run with the training, so that everything is sent before the process ends."""

    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)


def make_logger(mode: Literal["offline", "online"], folder: Path, settings: dict) -> RunLogger:
    """Make the logger of a run's folder; the id of the wandb run is stored there, and a resumed run continues it.

    To be called on the first rank alone. Raises UserError where wandb has no account or cannot be reached.
    """
    if mode == "online":
        _check_account()
    path = folder.resolve() / ID_FILE
    if not path.is_file():
        write_text(secrets.token_hex(4) + "\n", path)
    return RunLogger(
        project="mimicbrush",
        name=path.parent.name,
        save_dir=path.parent,
        id=path.read_text().strip(),
        mode=mode,
        config=settings,
        allow_val_change=True,
    )


def _check_account() -> None:
    """Raise UserError without an account; wandb itself would ask at the terminal, and wait."""
    try:
        has_key = wandb.login(prompt=False, verify=True)
    except (AuthenticationError, UsageError) as error:
        raise UserError(f"wandb refuses, or cannot be reached ({error}); run `wandb login`, {OFFLINE}") from None
    if not has_key:
        raise UserError(f"run.wandb is online, but wandb knows no account here; run `wandb login`, {OFFLINE}")
