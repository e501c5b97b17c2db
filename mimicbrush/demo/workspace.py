"""Folders for what visitors upload and make: all beneath one, which is deleted when the page ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time

from mimicbrush.file_lock import close_lock, lock, open_lock

KEPT_SECONDS = 24 * 3600
"""Pictures older than that are deleted."""
PREFIX = "mimicbrush-demo-"
LOCK = "lock"
"""File that a page which is running holds locked in its folder."""


class Workspace:
    """served: what Gradio hands out to browsers, uploads and copies of results; nothing else is ever served."""

    def __init__(self, root: Path) -> None:
        self.served = root / "served"
        self._made = root / "made"
        for folder in (self.served, self._made):
            folder.mkdir()
        # Gradio asks for both whenever it stores or serves a file; the second lies in the current folder otherwise.
        os.environ["GRADIO_TEMP_DIR"] = os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.served)

    def folder(self) -> Path:
        """A new one, not served; old ones go."""
        for old in self._made.iterdir():
            if time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._made))


@contextmanager
def temporary_workspace() -> Iterator[Workspace]:
    """A workspace that is deleted at the end; first, those of pages that were killed before they could do so."""
    _delete_abandoned(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    number = open_lock(root / LOCK)
    try:
        lock(number)
        yield Workspace(root)
    finally:
        close_lock(number)
        delete(root)


def _delete_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # another user's, or one that is in use
            number = open_lock(path)
            try:
                is_abandoned = lock(number)
            finally:
                close_lock(number)
            if is_abandoned:
                delete(path.parent)


def delete(folder: Path) -> None:
    """Delete a folder into which a thread may still be writing."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        sleep(0.02)
