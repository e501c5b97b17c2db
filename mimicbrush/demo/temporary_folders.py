"""Temporary folders for uploads and results, inside one folder that is deleted when the page ends."""

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
"""Age after which pictures are deleted."""
PREFIX = "mimicbrush-demo-"
LOCK = "lock"
"""File that a running page keeps locked in its folder."""


class TemporaryFolders:
    """Folders of one page.

    served: uploads and copies of results, the only files that Gradio serves to browsers.
    """

    def __init__(self, root: Path) -> None:
        self.served = root / "served"
        self._made = root / "made"
        for folder in (self.served, self._made):
            folder.mkdir()
        # Gradio reads both when it stores or serves a file; without the second it uses the current folder.
        os.environ["GRADIO_TEMP_DIR"] = os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.served)

    def new_folder(self) -> Path:
        """Make a new folder that is not served, and delete old ones."""
        for old in self._made.iterdir():
            if time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._made))


@contextmanager
def temporary_folders() -> Iterator[TemporaryFolders]:
    """Yield folders that are deleted at the end; first delete those of pages that were killed."""
    _delete_abandoned(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    number = open_lock(root / LOCK)
    try:
        lock(number)
        yield TemporaryFolders(root)
    finally:
        close_lock(number)
        delete(root)


def _delete_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # it belongs to another user, or is in use
            number = open_lock(path)
            try:
                is_abandoned = lock(number)
            finally:
                close_lock(number)
            if is_abandoned:
                delete(path.parent)


def delete(folder: Path) -> None:
    """Delete a folder to which a thread may still write."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        sleep(0.02)
