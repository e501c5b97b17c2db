"""The state of an optimisation in a folder, from which the same command resumes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.run_folder import claim
from mimicbrush.tensor_files import DamagedFileError, torch_load, torch_save

STATE = "state.pt"
SECONDS_APART = 60.0
"""Time between two states that are written while the optimisation runs."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunState:
    """The last state of one optimisation, in a folder of its own.

    free: fields of the config that may change between calls. Raises UserError if the folder belongs to another run.
    """

    def __init__(self, folder: Path, config: object, *, free: tuple[str, ...] = ()) -> None:
        claim(folder, config, free=free)
        self.path = folder / STATE
        self.last_write = time.monotonic()

    def read(self) -> dict | None:
        """The state that an earlier call left; None if there is none. Raises UserError if it is damaged."""
        try:
            return torch_load(self.path) if self.path.is_file() else None
        except DamagedFileError:
            raise UserError(
                f"{self.path}: damaged; delete this file and run the same command again, which then starts from the"
                " beginning"
            ) from None

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self.last_write >= SECONDS_APART

    def write(self, state: dict) -> None:
        with whole(self.path) as partial:
            torch_save(state, partial)
        self.last_write = time.monotonic()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block has ended, so that it is done wholly or not at all."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in received:
            signal.raise_signal(number)
