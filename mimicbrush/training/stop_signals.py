"""Signals that ask a run to stop, on which a checkpoint is written at once, and the requeueing of its Slurm job."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Sequence

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
"""SIGTERM comes from a scheduler that needs the machine, SIGINT from the keyboard, and SIGUSR1 from Slurm before a job
ends; Windows lacks SIGUSR1."""


class StopSignals:
    """Records the signals that ask the run to stop, once `install` was called.

    A second SIGINT stops the run at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The signal that this process has received."""
        self.agreed: signal.Signals | None = None
        """The signal that some rank had received when the ranks last exchanged votes; the same on all ranks."""

    def install(self, signals: Iterable[signal.Signals] = SIGNALS) -> None:
        """Replace the handlers of the signals."""
        for number in signals:
            signal.signal(number, self._note)

    def votes(self) -> list[float]:
        """1 for the signal that this process has received, 0 for all others; to be summed over all ranks."""
        return [float(number == self.received) for number in SIGNALS]

    def agree(self, votes: Sequence[float]) -> None:
        """Record the sums of the votes of all ranks; of several signals, the first in SIGNALS counts."""
        self.agreed = next((number for number, vote in zip(SIGNALS, votes, strict=True) if vote), None)

    def _note(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)


def requeue() -> bool:
    """Requeue this Slurm job; False if this is not a Slurm job, or Slurm refuses."""
    job = os.environ.get("SLURM_JOB_ID", "")
    if not re.fullmatch(r"\d+", job):
        return False
    try:
        return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0
    except OSError:
        return False
