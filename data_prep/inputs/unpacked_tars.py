"""Decompress tars of stills once, into a hidden folder of the output, as their members cannot be read singly.

The copies take as much disk as the tars hold. They are reused when a command resumes and by all tasks of an array, and
deleted when the work is done.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from filelock import FileLock

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.folder_lock import FolderHeldError, held

FOLDER_NAME = ".unpacked"
OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
"""Functions that open a compressed file, by its first bytes, whatever its suffix."""
CHUNK = 2**20
"""Number of bytes that are decompressed at a time."""


class PlainTar(NamedTuple):
    """A tar that is not compressed."""

    path: Path
    fault: str | None
    """Fault of the compressed file, as `reason: detail`; the tar then ends early."""


def to_plain_tar(path: Path, output: Path) -> PlainTar:
    """Return the tar itself, or a decompressed copy of it below the output folder.

    Raises UserError if the disk is full, OSError if the tar cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        return PlainTar(path, None)
    status = path.stat()
    identity = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    name = hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]
    copy, damaged = (output / FOLDER_NAME / f"{name}{ending}.tar" for ending in ("", "-damaged"))
    _make_folder(copy.parent)
    with FileLock(copy.with_suffix(".lock")):  # another task of the array may be making the same copy
        if not copy.is_file() and not damaged.is_file():
            with whole(copy) as partial:
                with opener(path) as compressed, partial.open("wb") as plain:
                    is_intact = _decompress(compressed, plain)
                os.utime(partial, ns=(status.st_mtime_ns, status.st_mtime_ns))
            if not is_intact:
                copy.replace(damaged)
    if copy.is_file():
        return PlainTar(copy, None)
    return PlainTar(damaged, f"truncated: its compressed data is damaged after {damaged.stat().st_size} bytes")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another --output") from None


def _decompress(compressed: IO[bytes], plain: IO[bytes]) -> bool:
    """Copy what can be decompressed; returns False if the data ends early or is damaged."""
    while True:
        try:
            chunk = compressed.read1(CHUNK)  # `read` would lose what precedes the damage
        except (EOFError, OSError, zlib.error, lzma.LZMAError):
            return False
        if not chunk:
            return True
        plain.write(chunk)


def remove_copies(output: Path) -> None:
    """Delete the copies of a folder that this command holds alone."""
    shutil.rmtree(output / FOLDER_NAME, ignore_errors=True)


def remove_unused_copies(output: Path) -> None:
    """Delete the copies of a folder unless a command is working on it."""
    if (output / FOLDER_NAME).is_dir():
        with suppress(FolderHeldError), held(output):
            remove_copies(output)
