"""Locks of output folders: one command writes at a time, and a second one is refused with the holder's name.

The holder keeps two things in a hidden file of the folder: an operating system's lock, which ends with its process
however that ends, and a note of who it is, whose time it renews every few seconds. Where the lock is refused, the
holder lives. Not every network file system carries locks from one machine to another, so where the lock is free and
the note is another machine's, its time decides: a holder that does not renew it for a minute has ended.
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
"""Seconds between two renewals of the note's time."""
PATIENCE = 60.0
"""Seconds without a renewal after which a holder on another machine counts as ended."""
LONG_AGO = 600.0
"""Seconds since the last renewal after which it does so at once: no two clocks of a cluster differ by as much."""
LET_GO = 10.0
"""Seconds that a process which was forked just before the holder was killed is given to close its copy of the lock."""


class FolderHeldError(UserError):
    """Another command is at work in the folder."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a folder."""

    token: str
    """Tells it from every other holder."""
    host: str
    pid: int
    since: str
    command: str
    job: str
    """Slurm's number of it; empty outside of Slurm."""
    restarts: int
    """How often Slurm has put that job back into its queue."""

    def describe(self) -> str:
        job = f", Slurm job {self.job}," if self.job else ""
        return f"process {self.pid} on {self.host}{job} since {self.since} ({self.command})"


@contextmanager
def held(folder: Path, share: str = "") -> Iterator[None]:
    """Hold a folder for this process, and make it where it is not there.

    share: name of a part that is held alone: parts are held side by side, and the whole only without any of them.
    Raises FolderHeldError, which says who holds it, and UserError where nothing can be written there, or its name is
    that of a file.
    """
    refuse_file_name(folder)
    made = _make(folder)
    own = folder / (f"{NAME}-{share}" if share else NAME)
    try:
        with _locked(own):
            # Only now: of two that come at the same time, at least one sees the other.
            _refuse_held([folder / NAME] if share else sorted(folder.glob(f"{NAME}-*")))
            yield
    finally:
        # What was made for nothing goes again.
        with suppress(OSError):
            for path in made:
                path.rmdir()


def _make(folder: Path) -> list[Path]:
    """Returns what had to be made, the innermost first."""
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
    """Remove our note; a file system that is gone must not hide why the command ended."""
    with suppress(OSError):
        os.ftruncate(number, 0)  # Windows removes no open file: an empty one, which holds nothing, stays there
    with suppress(OSError):
        path.unlink()


def _refuse_held(paths: Sequence[Path]) -> None:
    """Raise FolderHeldError where another process holds one of these files."""
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
    """The open file, and whether its lock is ours; raises FolderHeldError where it is another's.

    shared: others may look at the same time.
    """
    patience = LET_GO
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # who was refused may have removed it again
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
            # Its child, forked just before it was killed, has not yet closed its copy of the lock (see file_lock).
            time.sleep(0.05)
            patience -= 0.05
            continue
        if not is_locked:
            return number, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return number, True
        # Its holder has ended, and removed it, between our two calls.
        close_lock(number)


def _has_ended(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that has ended, even if its parent has not waited for it yet."""
    # Windows has no forked children, and its `os.kill` would end the process.
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
    """The holder, if the operating system's lock, which is free, does not tell for certain that it has ended."""
    holder, ours = _read(path), _this_process()
    if holder is None or (is_locked and holder.host == ours.host):
        return {}
    if holder.job and holder.job == ours.job and holder.restarts < ours.restarts:
        return {}  # Slurm has ended this job's former start before it began this one.
    if time.time() - _time_of(path) / 1e9 > LONG_AGO:
        return {}
    return {path: holder}


def _watch(holders: Mapping[Path, Holder]) -> None:
    """Raise FolderHeldError as soon as one of them renews its note; for those that do not, wait until it is certain."""
    if not holders:
        return
    path, holder = next(iter(holders.items()))
    print(f"{path.parent}: looking for {PATIENCE:g} s whether {holder.describe()} is still running", file=sys.stderr)
    renewed = {path: _time_of(path) for path in holders}
    for _ in range(round(PATIENCE)):
        time.sleep(1)
        for path, holder in holders.items():
            if _time_of(path) != renewed[path]:
                raise FolderHeldError(_refusal(path, holder))


def _time_of(path: Path) -> int:
    """When the note was renewed; of a file that is opened anew, because NFS answers for others from its memory."""
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
        command=f"{_program()} {shlex.join(sys.argv[1:])}"[:200].rstrip(),
        job=os.environ.get("SLURM_JOB_ID", ""),
        restarts=int(os.environ.get("SLURM_RESTART_COUNT") or 0),
    )


def _program() -> str:
    """How the command was started: `train.py`, or `python -m mimicbrush.edit`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name


def _write(path: Path, number: int, holder: Holder) -> None:
    try:
        os.ftruncate(number, 0)
        os.lseek(number, 0, os.SEEK_SET)
        os.write(number, json.dumps(asdict(holder)).encode())
        os.fsync(number)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room or choose another output") from None


def _read(path: Path) -> Holder | None:
    """The holder, None where there is none, or while it writes its note."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _renew(path: Path, holder: Holder, stop: threading.Event) -> None:
    """Renew the note; end this process where another has taken the folder after missed renewals."""
    while not stop.wait(BEAT):
        other = _read(path)
        if other is not None and other.token != holder.token:
            said = f"{path.parent} was taken over, as this process had not answered for long, by {other.describe()}"
            print(f"error: {said}; stopped", file=sys.stderr, flush=True)
            os._exit(2)
        with suppress(OSError):
            os.utime(path)
