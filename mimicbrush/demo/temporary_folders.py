"""Temporary folders for uploads and results, inside one folder that is deleted when the page ends."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from typing import NamedTuple

from mimicbrush.file_lock import close_lock, lock, open_lock

KEPT_SECONDS = 24 * 3600
"""Age after which pictures are deleted."""
PREFIX = "mimicbrush-demo-"
LOCK = "lock"
"""File that a running page keeps locked in its folder."""


class TemporaryFolders:
    """Folders of one page.

    served: uploads and copies of results, the only files that Gradio serves to browsers.
    max_bytes: size of all files together; beyond it the oldest are deleted.
    """

    def __init__(self, root: Path, *, max_bytes: float = math.inf) -> None:
        self.max_bytes = max_bytes
        self.served = root / "served"
        self._made = root / "made"
        self._permanent: set[Path] = set()
        self._used: set[Path] = set()
        for folder in (self.served, self._made):
            folder.mkdir()
        # Gradio reads both when it stores or serves a file; without the second it uses the current folder.
        os.environ["GRADIO_TEMP_DIR"] = os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.served)

    def new_folder(self) -> Path:
        """Make a new folder that is not served, and delete old files."""
        self.make_room()
        return Path(tempfile.mkdtemp(dir=self._made))

    def keep_present(self) -> None:
        """Never delete the files that exist now, such as the pictures of the examples, to make room for others."""
        self._permanent = {path for parent in (self.served, self._made) for path in parent.iterdir()}

    @contextmanager
    def in_use(self, folder: Path) -> Iterator[None]:
        """Keep a folder within the block, because an edit reads and writes it."""
        self._used.add(folder)
        try:
            yield
        finally:
            self._used.discard(folder)

    def make_room(self) -> None:
        """Delete uploads and results after a day, and the oldest while all together are larger than `max_bytes`."""
        places = [path for parent in (self.served, self._made) for path in parent.iterdir()]
        groups = [_measure(path) for path in places if path not in self._permanent]
        left = sum(group.size for group in groups)
        for group in sorted(groups, key=lambda group: group.newest):
            if left <= self.max_bytes and time() - group.newest < KEPT_SECONDS:
                break
            if group.place in self._used:
                continue
            if group.place.is_dir():
                shutil.rmtree(group.place, ignore_errors=True)
            else:
                group.place.unlink(missing_ok=True)
            left -= group.size


class _Files(NamedTuple):
    """The files of one upload, or of one edit."""

    place: Path
    newest: float
    """Time of the last change, in seconds."""
    size: int


def _measure(place: Path) -> _Files:
    """Add up the files at a place, some of which may be deleted in the meantime."""
    found = []
    for path in (place, *place.rglob("*")):
        with suppress(OSError):
            found.append(path.stat())
    return _Files(place, max((each.st_mtime for each in found), default=0.0), sum(each.st_size for each in found))


@contextmanager
def temporary_folders(*, max_bytes: float = math.inf) -> Iterator[TemporaryFolders]:
    """Yield folders that are deleted at the end; first delete those of pages that were killed."""
    _delete_abandoned(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    number = open_lock(root / LOCK)
    try:
        lock(number)
        yield TemporaryFolders(root, max_bytes=max_bytes)
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
