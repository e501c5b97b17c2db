"""Lock output folders: one command writes at a time, and a second one is refused with the name of the holder.

The holder keeps a hidden file in the folder, with an operating system's lock, which ends with its process, and a note
that describes the holder; it renews the note's time every few seconds. If the lock is refused, the holder is alive. Not
every network file system passes locks between machines. So if the lock is free and the note comes from another machine,
the time decides: a holder that has not renewed the note for a minute has ended.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.file_lock import close_lock, lock, open_lock
from mimicbrush.files import refuse_file_name

NAME = ".lock"
BEAT = 10.0
"""Seconds between two renewals of the note."""
PATIENCE = 60.0
"""Seconds without a renewal after which a holder on another machine counts as ended."""
LONG_AGO = 600.0
"""Seconds since the last renewal after which it counts as ended at once: clocks of a cluster differ by less."""
LET_GO = 10.0
"""Seconds for a child, forked just before the holder was killed, to close its copy of the lock."""


class FolderHeldError(UserError):
    """Another command is using the folder."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Description of the process that holds a folder."""

    token: str
    """Unique identifier of this holder."""
    host: str
    pid: int
    since: str
    command: str
    job: str
    """Slurm's job number; empty outside of Slurm."""
    restarts: int
    """Number of times that Slurm has requeued the job."""

    def describe(self) -> str:
        job = f", Slurm job {self.job}," if self.job else ""
        return f"process {self.pid} on {self.host}{job} since {self.since} ({self.command})"


@contextmanager
def held(folder: Path, share: str = "") -> Iterator[None]:
    """Hold a folder for this process, and make it if needed.

    share: name of a share of the folder. Different shares can be held at the same time; the whole folder can be held
    only if no share is. Raises FolderHeldError, which names the holder, and UserError if the folder is not writable or
    has the name of a file.
    """
    refuse_file_name(folder)
    made = _make(folder)
    own = folder / (f"{NAME}-{share}" if share else NAME)
    try:
        with _locked(own):
            # Checked after locking: of two commands that start together, at least one sees the other.
            _refuse_held([folder / NAME] if share else sorted(folder.glob(f"{NAME}-*")))
            yield
    finally:
        # Remove folders that were made but are still empty.
        with suppress(OSError):
            for path in made:
                path.rmdir()


def _make(folder: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were made, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another output") from None
    return missing


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    number, is_locked = _open(path)
    try:
        _watch(_doubtful_holder(path, is_locked))
        holder = _this_process()
        try:
            _write(path, number, holder)
            with _renewing(path, holder):
                yield
        finally:
            _remove(path, number)
    finally:
        close_lock(number)


@contextmanager
def _renewing(path: Path, holder: Holder) -> Iterator[None]:
    stop = threading.Event()
    beat = threading.Thread(target=_renew, args=(path, holder, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()


def _remove(path: Path, number: int) -> None:
    """Remove our note; an error of the file system must not hide the reason why the command ended."""
    with suppress(OSError):
        os.ftruncate(number, 0)  # Windows cannot remove an open file: an empty file remains, which holds nothing
    with suppress(OSError):
        path.unlink()


def _refuse_held(paths: Sequence[Path]) -> None:
    """Raise FolderHeldError if another process holds one of these files."""
    numbers, doubtful = [], {}
    try:
        for path in paths:
            if path.is_file():
                number, is_locked = _open(path, shared=True)
                numbers.append(number)
                doubtful |= _doubtful_holder(path, is_locked)
        _watch(doubtful)
    finally:
        for number in numbers:
            close_lock(number)


def _open(path: Path, *, shared: bool = False) -> tuple[int, bool]:
    """Open and lock a file; returns its descriptor, and False if the file system has no locks.

    shared: others may hold a shared lock at the same time. Raises FolderHeldError if another process has the lock.
    """
    patience = LET_GO
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # a refused command may have removed it
            number = open_lock(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written ({error.strerror}); fix that or choose another output"
            ) from None
        try:
            is_locked = lock(number, shared=shared)
        except BlockingIOError:
            close_lock(number)
            holder = _read(path)
            if patience <= 0 or holder is None or not _has_ended(holder):
                raise FolderHeldError(_refusal(path, holder)) from None
            # A child that was forked just before the holder was killed still has a copy of the lock (see file_lock).
            time.sleep(0.05)
            patience -= 0.05
            continue
        if not is_locked:
            return number, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return number, True
        # The holder ended and removed the file between our two calls.
        close_lock(number)


def _has_ended(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that has ended, including one that is still a zombie."""
    # Windows has no forked children, and `os.kill` would end the process there.
    if holder.host != platform.node() or not hasattr(os, "fork"):
        return False
    try:
        os.kill(holder.pid, 0)
        status = Path(f"/proc/{holder.pid}/stat").read_text()
    except ProcessLookupError:
        return True
    except OSError:  # another user's process, or a system without /proc
        return False
    # The state follows the name, which is in parentheses and may hold anything.
    return status.rpartition(")")[2].split()[0] == "Z"


def _doubtful_holder(path: Path, is_locked: bool) -> dict[Path, Holder]:
    """Return the holder in the note, as {path: holder}, unless it has certainly ended, given that the lock is free."""
    holder, ours = _read(path), _this_process()
    if holder is None or (is_locked and holder.host == ours.host):
        return {}
    if holder.job and holder.job == ours.job and holder.restarts < ours.restarts:
        return {}  # Slurm ended the earlier start of this job before this one.
    if time.time() - _time_of(path) / 1e9 > LONG_AGO:
        return {}
    return {path: holder}


def _watch(holders: Mapping[Path, Holder]) -> None:
    """Raise FolderHeldError as soon as a holder renews its note; otherwise wait until all certainly have ended."""
    if not holders:
        return
    path, holder = next(iter(holders.items()))
    print(f"{path.parent}: waiting {PATIENCE:g} s to see whether {holder.describe()} is still running", file=sys.stderr)
    renewed = {path: _time_of(path) for path in holders}
    for _ in range(round(PATIENCE)):
        time.sleep(1)
        for path, holder in holders.items():
            if _time_of(path) != renewed[path]:
                raise FolderHeldError(_refusal(path, holder))


def _time_of(path: Path) -> int:
    """Time of the last renewal. The file is opened again, because NFS caches the times of closed files."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _refusal(path: Path, holder: Holder | None) -> str:
    who = holder.describe() if holder else "another process"
    return f"{path.parent} is held by {who}; wait for it, stop it, or choose another output"


def _this_process() -> Holder:
    return Holder(
        token=uuid.uuid4().hex,
        host=platform.node(),
        pid=os.getpid(),
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
        command=running_command()[:200].rstrip(),
        job=os.environ.get("SLURM_JOB_ID", ""),
        restarts=int(os.environ.get("SLURM_RESTART_COUNT") or 0),
    )


def running_command() -> str:
    """The command that was started, as it can be typed again, such as `python -m mimicbrush.edit ...`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"-m {spec.name.removesuffix('.__main__')}" if spec else shlex.quote(sys.argv[0])
    return f"python {program} {shlex.join(sys.argv[1:])}".rstrip()


def _write(path: Path, number: int, holder: Holder) -> None:
    try:
        os.ftruncate(number, 0)
        os.lseek(number, 0, os.SEEK_SET)
        os.write(number, json.dumps(asdict(holder)).encode())
        os.fsync(number)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room or choose another output") from None


def _read(path: Path) -> Holder | None:
    """Read the holder; None if there is none, or while it writes its note."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _renew(path: Path, holder: Holder, stop: threading.Event) -> None:
    """Renew the note regularly; end this process if another has taken the folder after missed renewals."""
    while not stop.wait(BEAT):
        other = _read(path)
        if other is not None and other.token != holder.token:
            reason = f"{path.parent} was taken over by {other.describe()}, as this process did not respond for long"
            print(f"error: {reason}; stopped", file=sys.stderr, flush=True)
            os._exit(2)
        with suppress(OSError):
            os.utime(path)
