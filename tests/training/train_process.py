"""train.py in a process of its own that need not import torch: it is forked from a server that has, and never trained.

A process that has trained cannot be forked for training: autograd's threads are not in the fork.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

from tests.conftest import REPOSITORY

SCRIPT = str(REPOSITORY / "train.py")


class TrainProcess:
    """Start `train.py` with these arguments in its own process group; used like `subprocess.Popen`."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mimicbrush.training.command"])
        self._log = log
        self._process = context.Process(target=_train, args=(arguments, log))
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    poll = returncode.fget

    def communicate(self, timeout: float) -> tuple[str, None]:
        """Wait until the process has ended; returns its output."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"train.py still runs after {timeout} s"
        return self._log.read_text(), None


def _train(arguments: list[str], log: Path) -> None:
    os.setsid()
    with log.open("w") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    # For ranks that Lightning starts.
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    # A short run's charts take as long as its training.
    mock.patch("mimicbrush.training.records.draw_training").start()
    sys.argv = [SCRIPT, *arguments]
    runpy.run_path(SCRIPT, run_name="__main__")
