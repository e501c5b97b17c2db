"""Which files a command works on, and what is said of one that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


class UnreadableInput(Exception):  # noqa: N818 - it says what the input is, and is counted rather than reported
    """A clip or a still that gives no sample: `reason` is a slug to count by, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        return UnreadableInput, (self.reason, self.detail)


def find_files(folder: Path) -> Iterator[Path]:
    """Files at any depth but hidden ones; links to folders are followed, each folder is entered once.

    A folder that may not be read is given itself, so that it is named among what was skipped.
    """
    entered: set[tuple[int, int]] = set()
    unreadable: list[Path] = []
    walk = os.walk(folder, followlinks=True, onerror=lambda error: unreadable.append(Path(error.filename)))
    for place, folders, files in walk:
        status = Path(place).stat()
        is_new = (status.st_dev, status.st_ino) not in entered
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if is_new and not name.startswith("."))
        if is_new:
            yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
    yield from unreadable


def readable_name(path: Path) -> str:
    """The name as text, also where its bytes are no UTF-8."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="replace")


def first_line(error: Exception) -> str:
    """What an error says first, at most 200 characters."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
