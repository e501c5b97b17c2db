"""How long training waits for data."""

from __future__ import annotations

import time

from lightning.pytorch.profilers import PassThroughProfiler


class BatchClock(PassThroughProfiler):
    """A profiler, because Lightning tells profilers when it asks for a batch and when it has it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = time.monotonic()
        """When the last batch was asked for, which begins its step."""
        self.waited = 0.0
        """Seconds, of all batches."""

    def start(self, action_name: str) -> None:
        if action_name.endswith("train_dataloader_next"):
            self.asked = time.monotonic()

    def stop(self, action_name: str) -> None:
        if action_name.endswith("train_dataloader_next"):
            self.waited += time.monotonic() - self.asked
