"""Files of tensors: written with a digest, and read so that nothing executable is ever loaded."""

from __future__ import annotations

import hashlib
import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import torch

from mimicbrush.errors import UserError

MARK = b"sha256:"
"""Text before the digest at the end of a file."""
LENGTH = (len(MARK) + 2 * hashlib.sha256().digest_size).to_bytes(2, "little")
"""Bytes before the mark: a zip archive's last field, the length of its comment."""
CHUNK = 2**22
"""Bytes that are digested at once."""


class DamagedFileError(UserError):
    """A file of tensors that cannot be read, or whose bytes are not those that were written."""


def torch_save(content: object, path: Path) -> None:
    """`torch.save`, and a SHA-256 digest of all that it wrote at the file's end, which `torch_load` verifies.

    The digest is the comment of the zip archive that torch writes: `torch.load` and other readers pass over it.
    Raises UserError where the disk is full.
    """
    with path.open("wb+") as file:
        digesting = _Digesting(file)
        try:
            torch.save(content, digesting)
        except RuntimeError as error:
            # What torch makes of a write that fails.
            raise UserError(f"{path}: cannot be written ({error}); is the disk full?") from None
        # In place of the length of the comment, which is 0.
        file.seek(-len(LENGTH), os.SEEK_END)
        file.write(LENGTH + MARK + digesting.digest.hexdigest().encode())


class _Digesting:
    """A file for `torch.save` that digests what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def torch_load(path: Path) -> object:
    """The content of a file of `torch.save`: tensors and plain containers only, whatever the file's name.

    Raises DamagedFileError where it is damaged, foreign, or holds anything else, which is never loaded. Files of
    `torch_save` are verified; others, and those of older versions, hold no digest.
    """
    try:
        status = path.stat()
        damaged = _is_damaged(path.resolve(), status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise DamagedFileError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    if damaged:
        raise DamagedFileError(f"{path}: damaged (its bytes are not those that were written); copy it again")
    try:
        # Files of torch before 1.6 are no archives, and can only be read whole.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises half a dozen kinds for a damaged or foreign file
        raise DamagedFileError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: truncated, of another format, or holding more"
            " than tensors, which is never loaded); copy or download it again"
        ) from None


@lru_cache(maxsize=1024)
def _is_damaged(path: Path, size: int, changed: int) -> bool:
    """Whether a file holds a digest that is not that of its bytes; found out once while it stays as it is."""
    end = len(LENGTH) + len(MARK) + 2 * hashlib.sha256().digest_size
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # of a run that goes on, it may be a newer file by now
        file.seek(max(0, size - end))
        length, mark, written = (file.read(num) for num in (len(LENGTH), len(MARK), end))
        # Both, or it was written without: one flipped bit does not make a file of `torch_save` look like that.
        if length != LENGTH and mark != MARK:
            return False
        file.seek(0)
        digest = hashlib.sha256()
        left = size - end
        while left > 0 and (chunk := file.read(min(left, CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    digest.update(bytes(len(LENGTH)))
    return (length, mark, written) != (LENGTH, MARK, digest.hexdigest().encode())
