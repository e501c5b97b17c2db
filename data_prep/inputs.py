"""Files that a command works on: found, named and checked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.unusable_input import UnusableInput


def folder_argument(command: str) -> Path:
    """The only word of a command line, a folder of shards; raises UserError where it is anything else."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise UserError(f"expected one folder of shards, for example: python data_prep/{command} runs/shards/videos")
    return Path(sys.argv[1])


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


def size_of(path: Path) -> int:
    """Bytes of a file; 0 of whatever is none, such as a link that leads nowhere."""
    return path.stat().st_size if path.is_file() else 0


def check_file(path: Path) -> None:
    """Raises UnusableInput (unreadable_folder, missing, not_a_file): opening a pipe would wait for ever."""
    if path.is_dir():
        raise UnusableInput("unreadable_folder", "may not be listed; see its permissions")
    if not path.is_file():
        exists = path.exists()
        raise UnusableInput("not_a_file" if exists else "missing", "a pipe or device" if exists else "no such file")


def readable_name(path: Path) -> str:
    """The name as text, also where its bytes are no UTF-8; other bytes give another name."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")


def readable_text(text: str) -> str:
    """Text that can be written as UTF-8: JSON may hold halves of characters."""
    return text.encode(errors="backslashreplace").decode()


def first_line(error: Exception) -> str:
    """What an error says first, at most 200 characters."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
