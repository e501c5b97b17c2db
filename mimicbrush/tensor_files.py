"""Files of tensors: written with a digest, and read without ever loading executable content."""

from __future__ import annotations

import hashlib
import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from mimicbrush.errors import UserError

MARK = b"sha256:"
"""Text before the digest at the end of a file."""
LENGTH = (len(MARK) + 2 * hashlib.sha256().digest_size).to_bytes(2, "little")
"""Bytes before the mark: the last field of a zip archive, the length of its comment."""
CHUNK = 2**22
"""Bytes that are read at once."""


class DamagedFileError(UserError):
    """A file of tensors that cannot be read, or whose bytes have changed since it was written."""


def torch_save(content: object, path: Path) -> None:
    """Save like `torch.save`, with a SHA-256 digest at the end of the file, which `torch_load` verifies.

    The digest is the comment of the zip archive that torch writes; `torch.load` and other readers ignore it.
    Raises UserError if the disk is full.
    """
    with path.open("wb+") as file:
        digesting = _Digesting(file)
        try:
            torch.save(content, digesting)
        except RuntimeError as error:
            # torch raises this for a failed write.
            raise UserError(f"{path}: cannot be written ({error}); is the disk full?") from None
        # Overwrite the length of the comment, which is 0.
        file.seek(-len(LENGTH), os.SEEK_END)
        file.write(LENGTH + MARK + digesting.digest.hexdigest().encode())


class _Digesting:
    """A file for `torch.save` that computes the digest of everything written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def torch_load(path: Path) -> object:
    """Load a file of `torch.save` that contains only tensors and plain containers; its name does not matter.

    Raises DamagedFileError if it is damaged, of another format, or has other content, which is never loaded. Files of
    `torch_save` are verified; files from elsewhere or of older versions have no digest.
    """
    try:
        status = path.stat()
        damaged = _is_damaged(path.resolve(), status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise DamagedFileError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    if damaged:
        raise DamagedFileError(f"{path}: damaged (its bytes have changed since it was written); copy it again")
    try:
        # Files of torch before 1.6 are not archives, and can only be read as a whole.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises many types for damaged files or other formats
        raise DamagedFileError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: truncated, of another format, or holding more"
            " than tensors, which is never loaded); copy or download it again"
        ) from None


def tensor_fingerprint(tensor: Tensor) -> str:
    """A short fingerprint of a tensor's shape and values, in float32."""
    levels = tensor.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(f"{levels.shape}".encode() + levels.tobytes()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _is_damaged(path: Path, size: int, changed: int) -> bool:
    """Whether a file's digest differs from that of its bytes; checked once as long as the file does not change."""
    end = len(LENGTH) + len(MARK) + 2 * hashlib.sha256().digest_size
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # a running training may have replaced the file since
        file.seek(max(0, size - end))
        length, mark, written = (file.read(num) for num in (len(LENGTH), len(MARK), end))
        # Without both, the file has no digest: one flipped bit cannot remove both from a file of `torch_save`.
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
