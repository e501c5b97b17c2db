"""The operating system's lock on a file, on Linux, macOS and Windows; it ends when its process ends in any way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

REFUSED = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})
"""Errors if another process has the lock; any other error means that the file system has no locks."""
LOCKED_BYTE = 2**30
"""Position after the file's content, because Windows lets no process read a locked byte."""

_open_files: set[int] = set()
"""Descriptors of the lock files that this process has open."""


def open_lock(path: Path) -> int:
    """Open a file for locking, and make it if needed; returns its descriptor. Raises OSError."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _open_files.add(number)
    return number


def close_lock(number: int) -> None:
    """Close the file, which ends its lock."""
    _open_files.discard(number)
    os.close(number)


def lock(number: int, *, shared: bool = False) -> bool:
    """Lock an open file; returns False on a network file system without locks.

    shared: others may hold a shared lock at the same time. Raises BlockingIOError if another process has the lock.
    """
    try:
        _lock(number, shared)
    except OSError as error:
        if error.errno in REFUSED:
            raise BlockingIOError(error.errno, "another process has the lock") from None
        return False
    return True


def _lock(number: int, shared: bool) -> None:
    try:
        import fcntl
    except ImportError:
        _lock_on_windows(number)
    else:
        fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _lock_on_windows(number: int) -> None:
    try:
        import msvcrt
    except ImportError:
        raise OSError(errno.ENOSYS, "no locks here") from None
    os.lseek(number, LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(number, msvcrt.LK_NBLCK, 1)


def _close_in_child() -> None:
    """Close the locks in a forked child, such as a loader's worker: it would hold them after this process has ended."""
    for number in _open_files:
        os.close(number)
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
